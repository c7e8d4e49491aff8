"""The audit trail: each fact once, chained, and nobody can change it unseen."""

import asyncio
import random
from collections.abc import Sequence

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from consumers.audit.app import build
from consumers.audit.handlers import Append, chained, entry_of
from consumers.batch import Batch, Record
from contracts import catalog
from contracts.envelope import Envelope
from contracts.errors import IdentityConflict
from contracts.rules.trail import FIRST, first_break
from contracts.topics import AUTH, DEAD_LETTERS
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.ops.trail_proof import verify, verify_all
from infra.postgres import audit
from infra.postgres.audit import Head
from infra.postgres.database import Database
from producers.publisher import Publisher
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.kafka import login, running, whole_log

FORGED = """
    INSERT INTO audit_trail
    SELECT organization_id, 11, event_source, 'new', event_type, body_hash, subject, actor, address, occurred_at,
           accepted_at, request_id, data, hash
    FROM audit_trail WHERE seq = 10
"""


def records(envelopes: Sequence[Envelope]) -> list[Record]:
    found = []
    for offset, envelope in enumerate(envelopes):
        raw = catalog.encode(envelope)
        read, data = catalog.decode(raw)
        found.append(Record(AUTH, 0, offset, envelope.organization.encode(), raw, (), 1_000, read, data))
    return found


async def rows(database: Database, organization: str = "org_1") -> list[audit.Link]:
    async with database.transaction() as tx:
        return await audit.links(tx, organization, limit=10_000)


async def test_facts_are_kept_in_order_with_who_and_where(database: Database) -> None:
    await Append(database)(Batch(records([login(number, user=f"user_{number}") for number in range(5)])))
    kept = await rows(database)
    assert [link.seq for link in kept] == [1, 2, 3, 4, 5]
    entry = kept[3].entry
    assert (entry.event_id, entry.event_type) == ("log_3", "auth.user.logged_in.v1")
    assert (entry.actor, entry.address, entry.data["user_id"]) == ("user_3", "192.0.2.7", "user_3")
    assert (await verify(database, "org_1"))[:3] == ("org_1", 5, None)


async def test_the_same_batch_again_and_from_8_connections_at_once_appends_nothing_twice(database: Database) -> None:
    everything = records([login(number, f"org_{number % 5}") for number in range(200)])

    async def handle(seed: int) -> None:
        mine = list(everything)
        random.Random(seed).shuffle(mine)
        for start in range(0, 200, 40):
            await Append(database)(Batch(mine[start : start + 40]))

    await asyncio.gather(*(handle(seed) for seed in range(8)))
    await Append(database)(Batch(everything))
    verdicts = await verify_all(database)
    assert [verdict[:3] for verdict in verdicts] == [(f"org_{number}", 40, None) for number in range(5)]


async def test_the_same_identity_with_another_body_is_parked_in_and_across_batches(database: Database) -> None:
    append = Append(database)
    first = Batch(records([login(1, user="a"), login(1, user="b"), login(1, user="a"), login(2)]))
    await append(first)
    assert [(parked.record.offset, type(parked.error)) for parked in first.parked] == [(1, IdentityConflict)]
    second = Batch(records([login(1, user="c"), login(3)]))
    await append(second)
    assert [parked.record.offset for parked in second.parked] == [0]
    assert [link.entry.event_id for link in await rows(database)] == ["log_1", "log_2", "log_3"]


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_trail SET actor = 'x'", "DELETE FROM audit_trail", "TRUNCATE audit_trail"]
)
async def test_the_database_refuses_to_change_the_trail(database: Database, statement: str) -> None:
    await Append(database)(Batch(records([login(1)])))
    with pytest.raises(DBAPIError, match="append-only"):
        async with database.transaction() as tx:
            await tx.execute(text(statement))
    assert len(await rows(database)) == 1


@pytest.mark.parametrize(
    "tampering, broken_at",
    [
        ("UPDATE audit_trail SET actor = 'nobody' WHERE seq = 4", 4),
        ("UPDATE audit_trail SET data = data || '{\"user_id\": \"other\"}' WHERE seq = 2", 2),
        ("UPDATE audit_trail SET occurred_at = occurred_at + interval '1 microsecond' WHERE seq = 6", 6),
        ("DELETE FROM audit_trail WHERE seq = 3", 3),
        ("DELETE FROM audit_trail WHERE seq = 10", 10),
        ("DELETE FROM audit_trail WHERE seq = 1", 1),
        (FORGED, 11),
    ],
)  # fmt: skip
async def test_whoever_gets_round_the_trigger_is_seen(
    database: Database, database_dsn: str, tampering: str, broken_at: int
) -> None:
    await Append(database)(Batch(records([login(number) for number in range(10)])))
    intruder = await asyncpg.connect(database_dsn)
    await intruder.execute("ALTER TABLE audit_trail DISABLE TRIGGER USER")
    await intruder.execute(tampering)
    await intruder.close()
    assert (await verify(database, "org_1")).broken_at == broken_at


@given(
    users=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=9))
)
def test_a_chain_holds_and_any_change_of_one_link_breaks_it_there(users: list[str]) -> None:
    entries = [entry_of(record) for record in records([login(n, user=user) for n, user in enumerate(users)])]
    links, heads = chained(entries, {"org_1": Head(0, FIRST)})
    assert first_break(links) is None
    if links:
        assert heads == {"org_1": Head(len(links), links[-1].hash)}
    for number, link in enumerate(links):
        changed = link._replace(entry=link.entry._replace(actor=(link.entry.actor or "") + "x"))
        assert first_break([*links[:number], changed, *links[number + 1 :]]) == number + 1


async def test_published_facts_reach_the_trail_and_conflicts_the_dead_letters(
    database: Database, kafka: KafkaOptions, producer: Producer, clock: FakeClock
) -> None:
    publisher = Publisher(producer)
    await publisher.publish([login(number) for number in range(100)])
    await publisher.publish([login(5), login(6, user="somebody else")])
    app = build(database, kafka=kafka, producer=producer, clock=clock)
    async with running(app):
        await eventually(lambda: app.progress.processed == 102)
    assert (await verify(database, "org_1"))[:3] == ("org_1", 100, None)
    [letter] = await whole_log(kafka, DEAD_LETTERS)
    assert dict(letter.headers)["reason"] == b"identity_conflict"
