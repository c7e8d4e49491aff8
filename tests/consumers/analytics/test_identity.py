"""Each identity counts once in every query, at every moment."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.analytics.handlers import Sink, Written
from consumers.batch import Record
from contracts.envelope import identity_hash
from contracts.errors import AnalyticsUnavailable
from infra.clickhouse import facts
from infra.clickhouse.client import ClickHouse
from tests.conftest import unique
from tests.support.usage import NOON, batch, charge, usage

DAY = timedelta(days=1)


async def counted(clickhouse: ClickHouse, organization: str = "org_a") -> tuple[int, int, int]:
    """(events, input tokens, different ids) as a query sees them."""
    found = await clickhouse.query(
        "SELECT count() AS events, sum(input_tokens) AS tokens, uniqExact(source, event_id) AS ids "
        "FROM usage WHERE organization_id = {organization:String}",
        {"organization": organization},
    )
    return found[0]["events"], found[0]["tokens"], found[0]["ids"]


async def test_the_same_batch_twice_counts_once(clickhouse: ClickHouse) -> None:
    sink = Sink(clickhouse)
    records = batch(*(usage(f"e{i}", i) for i in range(50)))
    assert await sink.write(records) == Written(50, 0, 0)
    await sink.write(records)
    assert await counted(clickhouse) == (50, 500, 50)


async def test_a_replay_from_offset_0_by_a_new_process_counts_once(clickhouse: ClickHouse) -> None:
    records = [usage(f"e{i}", i) for i in range(50)]
    for size in (50, 7, 1):
        sink = Sink(clickhouse)
        for start in range(0, 50, size):
            await sink.write(batch(*records[start : start + size]))
    assert await counted(clickhouse) == (50, 500, 50)


async def test_the_same_id_with_another_time_counts_once_with_the_first_time(clickhouse: ClickHouse) -> None:
    sink = Sink(clickhouse)
    await sink.write(batch(usage("e", 0)))
    written = await sink.write(batch(usage("e", 1, time=NOON - 40 * DAY), usage("e", 2, time=NOON + DAY)))
    assert written == Written(0, 2, 0)
    assert await counted(clickhouse) == (1, 10, 1)
    kept = await clickhouse.query("SELECT event_time, offset FROM usage")
    assert kept == [{"event_time": NOON, "offset": 0}]


async def test_within_one_batch_the_first_wins(clickhouse: ClickHouse) -> None:
    first, second = usage("e", 0, input_tokens=1), usage("e", 1, time=NOON - DAY, input_tokens=2)
    assert await Sink(clickhouse).write(batch(first, second)) == Written(1, 1, 0)
    assert await counted(clickhouse) == (1, 1, 1)


async def test_the_same_id_with_another_body_keeps_the_first_body(clickhouse: ClickHouse) -> None:
    sink = Sink(clickhouse)
    await sink.write(batch(usage("e", 0, time=NOON, input_tokens=1)))
    await sink.write(batch(usage("e", 1, time=NOON, input_tokens=1000)))
    assert await counted(clickhouse) == (1, 1, 1)


async def test_one_id_of_two_sources_or_two_organizations_are_different_events(clickhouse: ClickHouse) -> None:
    await Sink(clickhouse).write(
        batch(usage("e", 0), usage("e", 1, source="urn:other"), usage("e", 2, organization="org_b"))
    )
    assert await counted(clickhouse) == (2, 20, 2)
    assert await counted(clickhouse, "org_b") == (1, 10, 1)


STEPS = ("known", "insert_identities", "insert_usage", "insert_charges", "save_progress")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_crash_at_any_step_loses_and_doubles_nothing(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    first = [usage("a", 0), usage("b", 1)]
    again = [usage("a", 2, time=NOON - DAY), usage("c", 3), usage("c", 4, time=NOON - DAY), usage("d", 5)]
    await Sink(clickhouse).write(batch(*first))
    real = getattr(facts, step)

    async def crash(*arguments: object) -> None:
        if when == "after":
            await real(*arguments)
        raise AnalyticsUnavailable("cut")

    charges = [charge(again[1], 0, 7)]
    with monkeypatch.context() as patched:
        patched.setattr(facts, step, crash)
        with pytest.raises(AnalyticsUnavailable):
            await Sink(clickhouse).write(batch(*again, *charges))
    events, tokens, ids = await counted(clickhouse)
    assert events == ids
    assert events in (2, 4)
    assert tokens == 10 * events

    resumed = Sink(clickhouse)
    places = await resumed.resume({("aihub.usage.v1", 0), ("aihub.ledger.v1", 0)})
    assert places["aihub.usage.v1", 0] == (6 if (step, when) == ("save_progress", "after") else 2)
    await resumed.ready()
    await resumed.write(batch(*(r for r in first + again if r.offset >= places["aihub.usage.v1", 0])))
    await resumed.write(batch(*(r for r in charges if r.offset >= places["aihub.ledger.v1", 0])))
    await resumed.close()
    assert await counted(clickhouse) == (4, 40, 4)
    booked = await clickhouse.query("SELECT count() AS n, sum(amount_micros) AS micros FROM charges")
    assert booked == [{"n": 1, "micros": 7}]


async def test_the_next_owner_goes_on_where_the_sink_has_got_to(clickhouse: ClickHouse) -> None:
    sink = Sink(clickhouse)
    assert await sink.resume({("aihub.usage.v1", 0)}) == {("aihub.usage.v1", 0): 0}
    await sink.write(batch(usage("a", 7), usage("b", 8), usage("c", 3, partition=1)))
    places = {("aihub.usage.v1", 0), ("aihub.usage.v1", 1), ("aihub.usage.v1", 2)}
    assert await Sink(clickhouse).resume(places) == {
        ("aihub.usage.v1", 0): 9,
        ("aihub.usage.v1", 1): 4,
        ("aihub.usage.v1", 2): 0,
    }
    await sink.close()


async def test_a_full_filter_still_finds_what_other_owners_wrote(clickhouse: ClickHouse) -> None:
    await Sink(clickhouse).write(batch(*(usage(f"e{i}", i) for i in range(300))))
    sink = Sink(clickhouse, filter_bytes=64)
    await sink.resume({("aihub.usage.v1", 0)})
    await sink.ready()
    written = await sink.write(batch(*(usage(f"e{i}", 300 + i, time=NOON - DAY) for i in range(100, 400))))
    assert written == Written(100, 200, 0)
    assert await counted(clickhouse) == (400, 4000, 400)
    await sink.close()


async def test_a_filter_that_is_full_of_the_past_learns_what_comes(clickhouse: ClickHouse) -> None:
    sink = Sink(clickhouse)
    await sink.resume({("aihub.usage.v1", 0)})
    await sink.ready()
    assert await sink.write(batch(usage("a", 0), usage("b", 1))) == Written(2, 0, 0)
    assert await sink.write(batch(usage("a", 2, time=NOON - DAY), usage("c", 3))) == Written(1, 1, 0)
    assert await counted(clickhouse) == (3, 30, 3)
    await sink.close()


@pytest.mark.parametrize("filled", [True, False])
async def test_identities_with_any_bytes_are_found_again(clickhouse: ClickHouse, filled: bool) -> None:
    await Sink(clickhouse).write(batch(*(usage(f"e{i}", i) for i in range(2_000))))
    again = [usage(f"e{i}", 2_000 + i, time=NOON - DAY) for i in range(2_000)]
    identities = [identity_hash(*record.envelope.identity) for record in again]
    assert {identity[-1] for identity in identities} >= {0, 255}
    sink = Sink(clickhouse)
    if filled:
        await sink.resume({("aihub.usage.v1", 0)})
        await sink.ready()
    assert await sink.write(batch(*again)) == Written(0, 2_000, 0)
    await sink.close()


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[tuple[str, int]], list[tuple[int, int, int]]]:
    """A log of (id, day) and deliveries of it by two owners: (owner, from, to), each owner contiguously from a start
    that the sink's progress allows."""
    log = draw(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 40)), min_size=1, max_size=25))
    cuts = draw(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 9)), max_size=12))
    position, reached, deliveries = [0, 0], 0, []
    for owner, size in cuts:
        start = position[owner]
        end = min(start + size, len(log))
        deliveries.append((owner, start, end))
        position[owner] = end
        reached = max(reached, end)
    deliveries.append((0, min(position), len(log)))
    return log, deliveries


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=stories())
async def test_two_owners_of_one_partition_decide_alike(
    clickhouse: ClickHouse, story: tuple[list[tuple[str, int]], list[tuple[int, int, int]]]
) -> None:
    log, deliveries = story
    organization = unique("org")
    records: list[Record] = [
        usage(name, offset, organization=organization, time=NOON - day * DAY, input_tokens=offset + 1)
        for offset, (name, day) in enumerate(log)
    ]
    owners = [Sink(clickhouse), Sink(clickhouse)]
    for owner, start, end in deliveries:
        if start < end:
            await owners[owner].write(batch(*records[start:end]))
        events, _, ids = await counted(clickhouse, organization)
        assert events == ids
    first: dict[str, int] = {}
    for offset, (name, _) in enumerate(log):
        first.setdefault(name, offset + 1)
    assert await counted(clickhouse, organization) == (len(first), sum(first.values()), len(first))
