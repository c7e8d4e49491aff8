"""Engines go away and come back under a whole hub: nothing accepted is lost, nobody restarts anything."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from contracts.errors import Unavailable
from contracts.topics import USAGE
from infra.embedded.engines import Engines
from infra.kafka.log import LogReader
from infra.ops.reconcile import GROUPS, reconcile
from tests.flows.test_identity import expect_once, use
from tests.support.eventually import eventually
from tests.support.hub import RunningHub


async def test_while_the_broker_is_down_events_get_a_503_within_5_s_and_then_go_on(
    hub: RunningHub, engines: Engines
) -> None:
    await hub.acme.send([use("before")])
    await engines.kafka.kill()
    try:
        started = time.monotonic()
        with pytest.raises(Unavailable, match="503"):
            await hub.acme.once("POST", "/v1/usage", b'{"service":"chat"}', "application/json")
        assert time.monotonic() - started < 5.5
    finally:
        await engines.kafka.start()

    async def accepted() -> bool:
        try:
            return (await hub.acme.send([use("after")])).count("accepted") == 1
        except Unavailable:
            return False

    await eventually(accepted, within_s=30)
    await hub.settled(within_s=60)
    await expect_once(hub, 2, 200)


async def test_while_postgres_is_down_ingest_goes_on_and_the_ledger_catches_up(
    hub: RunningHub, engines: Engines
) -> None:
    await hub.acme.send([use("before")])
    await hub.settled()
    await engines.postgres.kill()
    try:
        sent = await hub.acme.send([use(f"during-{n}") for n in range(20)])
        assert sent.count("accepted") == 20
    finally:
        await engines.postgres.start()
    await hub.settled(within_s=60)
    await expect_once(hub, 21, 2_100)


async def test_two_bad_records_in_a_batch_of_500_are_parked_and_the_other_498_booked(hub: RunningHub) -> None:
    producer, key = hub.hub.producer, "org_acme"
    await hub.acme.send([use("template")])
    await hub.settled()
    reader = hub.hub.log_reader
    template = await reader.find(USAGE, key, 0, lambda record: b'"template"' in (record.value or b""))
    value = template[0].value or b""
    values = [value.replace(b'"template"', b'"e-%d"' % n) for n in range(498)]
    values.insert(100, b"\xff not an event")
    values.insert(300, value.replace(b'"template"', b'"broken"').replace(b'"input_tokens":100', b'"input_tokens":-1'))
    await producer.send(USAGE, key, values)

    async def parked() -> list[dict[str, Any]]:
        found = (await hub.admin.get("/v1/admin/dead-letters?consumer=aihub.credits"))["data"]
        return found if len(found) == 2 else []

    letters = await eventually(parked, within_s=30)
    assert {letter["reason"] for letter in letters} == {"unreadable_record", "invalid_record"}
    assert {letter["topic"] for letter in letters} == {"aihub.usage.v1"}
    invalid = next(letter for letter in letters if letter["reason"] == "invalid_record")
    assert "/data/input_tokens" in invalid["message"]
    await hub.settled(within_s=30)
    totals = await eventually(lambda: _analysed(hub, 499), within_s=30)
    assert totals["credits_micros"] == 499 * 100 * 10_000

    answer = await hub.admin.post(f"/v1/admin/dead-letters/{invalid['id']}/redrive", {})
    assert answer["data"]["state"] == "redriven"
    books = await reconcile(hub.hub.reconcile_deps())
    assert books.clean, books.lines()


async def _analysed(hub: RunningHub, events: int) -> dict[str, Any] | None:
    totals = (await hub.acme.get("/v1/analytics/summary"))["data"]["totals"]
    complete = totals["events"] == events and totals["credits_micros"] == events * 100 * 10_000
    return totals if complete else None


async def test_reconcile_finds_what_analytics_lost_by_id_and_repairs_it(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.ops.reconcile.SETTLE_S", 1.0)
    await hub.acme.send([use(f"e-{n}") for n in range(10)])
    await expect_once(hub, 10, 1_000)
    deps = hub.hub.reconcile_deps()
    await deps.clickhouse.command("DELETE FROM usage_facts WHERE event_id IN ('e-3', 'e-7')")
    await deps.clickhouse.command("DELETE FROM charge_facts WHERE event_id = 'e-5'")
    books = await reconcile(deps)
    assert not books.clean
    assert {(found.check, found.subject.split()[-1]) for found in books.differences} == {
        ("missing_in_analytics", "e-3"),
        ("missing_in_analytics", "e-7"),
        ("charges", "e-5"),
    }
    (hour,) = books.report()["hours"]
    assert hour["events"] == {"kafka": 10, "ledger": 10, "analytics": 8}
    assert hour["micros"] == {"ledger": 10_000_000, "analytics": 9_000_000}
    repaired = await reconcile(deps, repair=True)
    assert repaired.repaired == 3

    async def clean() -> bool:
        return (await reconcile(deps)).clean

    await eventually(clean, within_s=60, every_s=0.5)
    await expect_once(hub, 10, 1_000)


async def test_the_sweepers_reconcile_reads_each_record_once(hub: RunningHub, fresh: LogReader) -> None:
    await hub.acme.send([use(f"e-{n}") for n in range(10)])
    await expect_once(hub, 10, 1_000)
    deps = replace(hub.hub.reconcile_deps(), log_reader=fresh)
    await eventually(lambda: _committed(fresh))
    assert (await reconcile(deps)).clean
    again = await reconcile(deps, since_marks=True)
    assert (again.clean, again.compared.get("kafka", 0)) == (True, 0)
    await hub.acme.send([use("one-more")])
    await expect_more(hub, 11)
    await eventually(lambda: _committed(fresh))
    assert (await reconcile(deps, since_marks=True)).compared["kafka"] == 1
    assert (await reconcile(deps, since_marks=True)).compared.get("kafka", 0) == 0


@pytest.fixture
async def fresh(hub: RunningHub) -> AsyncIterator[LogReader]:
    """A reader that remembers no offsets."""
    reader = LogReader(hub.hub.kafka, cache_s=0)
    yield reader
    await reader.close()


async def _committed(reader: LogReader) -> bool:
    """Whether both consumers have told Kafka that they have done all usage."""
    return not any([sum((await reader.lag(group, [USAGE])).values()) for group in GROUPS[USAGE]])


async def expect_more(hub: RunningHub, events: int) -> None:
    await hub.settled()
    await eventually(lambda: _analysed(hub, events), within_s=20)
