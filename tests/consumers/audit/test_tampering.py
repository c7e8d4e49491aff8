"""1,000 random tamperings with the trail, by somebody with the database's own rights: all are found."""

import random
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import asyncpg
import pytest

from consumers.audit.handlers import Append, chained, entry_of
from consumers.batch import Batch
from contracts.rules.trail import FIRST, Entry, Link, link
from infra.clickhouse.client import ClickHouse
from infra.clickhouse.migrate import migrate
from infra.embedded.engines import Engines
from infra.ops.trail_copy import copy_trail
from infra.ops.trail_proof import verify, verify_all
from infra.postgres import audit
from infra.postgres.audit import Head
from infra.postgres.database import Database
from tests.conftest import unique
from tests.consumers.audit.test_audit import records
from tests.support.kafka import login

LENGTH = 8
SEED = 20_261_125


@pytest.fixture
async def clickhouse(engines: Engines) -> AsyncIterator[ClickHouse]:
    opened = ClickHouse.open_chdb(engines.clickhouse_path, unique("trail"))
    await migrate(opened)
    yield opened
    await opened.drop_database()
    await opened.close()


def changed(dice: random.Random, entry: Entry) -> Entry:
    """The entry with one field changed."""
    field = dice.choice(
        ["event_type", "event_id", "actor", "address", "occurred_at", "accepted_at", "data", "body_hash"]
    )
    old = getattr(entry, field)
    new: dict[type, Callable[[], object]] = {
        str: lambda: old + "x",
        dict: lambda: {**old, "user_id": "somebody else"},
        bytes: lambda: bytes(32),
    }
    return entry._replace(**{field: new.get(type(old), lambda: old + timedelta(microseconds=1))()})


def edit(dice: random.Random, links: list[Link]) -> tuple[list[Link], int]:
    at = dice.randrange(LENGTH)
    return [*links[:at], links[at]._replace(entry=changed(dice, links[at].entry)), *links[at + 1 :]], at + 1


def delete(dice: random.Random, links: list[Link]) -> tuple[list[Link], int]:
    at = dice.randrange(LENGTH)
    return [*links[:at], *links[at + 1 :]], at + 1


def delete_and_close_the_gap(dice: random.Random, links: list[Link]) -> tuple[list[Link], int]:
    at = dice.randrange(LENGTH)
    return [*links[:at], *(one._replace(seq=one.seq - 1) for one in links[at + 1 :])], at + 1


def insert(dice: random.Random, links: list[Link]) -> tuple[list[Link], int]:
    at = dice.randrange(LENGTH + 1)
    forged = links[dice.randrange(LENGTH)]
    new = forged._replace(seq=at + 1, entry=forged.entry._replace(event_id=f"forged_{dice.random()}"))
    return [*links[:at], new, *(one._replace(seq=one.seq + 1) for one in links[at:])], at + 1


def reorder(dice: random.Random, links: list[Link]) -> tuple[list[Link], int]:
    one, two = sorted(dice.sample(range(LENGTH), 2))
    found = list(links)
    found[one], found[two] = links[two]._replace(seq=one + 1), links[one]._replace(seq=two + 1)
    return found, one + 1


def cut(dice: random.Random, links: list[Link]) -> tuple[list[Link], int]:
    keep = dice.randrange(1, LENGTH)
    return links[:keep], keep + 1


def rewrite(dice: random.Random, links: list[Link]) -> tuple[list[Link], int]:
    """Changes one entry and chains everything behind it anew: no hash of the trail's own tells."""
    at = dice.randrange(LENGTH)
    entries = [one.entry for one in links]
    entries[at] = changed(dice, entries[at])
    return _chained_anew(entries), at + 1


def cut_and_move_the_head(dice: random.Random, links: list[Link]) -> tuple[list[Link], int]:
    """The head says what the shortened trail says."""
    keep = dice.randrange(1, LENGTH)
    return links[:keep], keep + 1


def _chained_anew(entries: list[Entry]) -> list[Link]:
    found, previous = [], FIRST
    for number, entry in enumerate(entries, 1):
        found.append(link(previous, number, entry))
        previous = found[-1].hash
    return found


TAMPERINGS = (edit, delete, delete_and_close_the_gap, insert, reorder, cut, rewrite, cut_and_move_the_head)
MOVE_THE_HEAD = (rewrite, cut_and_move_the_head)


async def trails(database: Database, organizations: list[str]) -> dict[str, list[Link]]:
    """A trail of LENGTH events for each organization."""
    envelopes = [login(number, name, user=f"user_{number}") for name in organizations for number in range(LENGTH)]
    for start in range(0, len(envelopes), 2_000):
        await Append(database)(Batch(records(envelopes[start : start + 2_000])))
    found = {}
    for name in organizations:
        async with database.transaction() as tx:
            found[name] = await audit.links(tx, name)
    return found


async def test_a_thousand_random_tamperings_are_found_where_they_begin(
    database: Database, database_dsn: str, clickhouse: ClickHouse
) -> None:
    print("seed", SEED)
    dice = random.Random(SEED)
    written = await trails(database, [f"org_{number:04}" for number in range(1_050)])
    assert await copy_trail(database, clickhouse) == 1_050 * LENGTH
    expected: dict[str, int | None] = dict.fromkeys(written)
    new: list[Link] = []
    heads: dict[str, Head] = {}
    for name in list(written)[:1_000]:
        how = dice.choice(TAMPERINGS)
        links, expected[name] = how(dice, written[name])
        new += links
        if how in MOVE_THE_HEAD:
            heads[name] = Head(links[-1].seq, links[-1].hash)
    intruder = await asyncpg.connect(database_dsn)
    await intruder.execute("ALTER TABLE audit_trail DISABLE TRIGGER USER")
    await intruder.execute("DELETE FROM audit_trail WHERE organization_id < 'org_1000'")
    await intruder.execute("ALTER TABLE audit_trail ENABLE TRIGGER USER")
    await intruder.close()
    async with database.transaction() as tx:
        await audit.append(tx, new)
        await audit.move_heads(tx, heads)
    verdicts = {verdict.organization: verdict for verdict in await verify_all(database, clickhouse)}
    assert {name: verdict.broken_at for name, verdict in verdicts.items()} == expected
    assert sum(verdict.broken_at is not None for verdict in verdicts.values()) == 1_000


async def test_a_head_that_was_noted_shows_a_trail_that_was_rewritten(database: Database) -> None:
    (written,) = (await trails(database, ["org_1"])).values()
    noted = Head(written[-1].seq, written[-1].hash)
    assert (await verify(database, "org_1", noted=noted)).broken_at is None
    assert (await verify(database, "org_1", noted=noted._replace(hash=bytes(32)))).broken_at == LENGTH
    assert (await verify(database, "org_1", noted=Head(LENGTH + 1, bytes(32)))).broken_at == LENGTH + 1


async def test_links_that_are_copied_again_count_once_and_an_absent_copy_is_told(
    database: Database, clickhouse: ClickHouse
) -> None:
    await trails(database, ["org_1", "org_2"])
    assert await copy_trail(database, clickhouse) == 2 * LENGTH
    assert await copy_trail(database, clickhouse) == 0
    async with database.transaction() as tx:
        links = await audit.links(tx, "org_1")
        await (await audit.raw(tx)).execute("UPDATE audit_heads SET copied_seq = 3")
    assert await copy_trail(database, clickhouse) == 2 * (LENGTH - 3)
    rows = await clickhouse.query("SELECT event_id, hash FROM auth_events WHERE organization_id = 'org_1' ORDER BY seq")
    assert [(row["event_id"], row["hash"]) for row in rows] == [(one.entry.event_id, one.hash.hex()) for one in links]
    away = ClickHouse.open_http("http://127.0.0.1:9/none")
    verdict = await verify(database, "org_1", clickhouse=away)
    assert (verdict.broken_at, verdict.witnessed) == (None, False)
    await away.close()


def test_a_chain_made_here_is_the_one_that_the_consumer_makes() -> None:
    entries = records([login(number) for number in range(3)])
    made, _ = chained([entry_of(one) for one in entries], {"org_1": Head(0, FIRST)})
    assert _chained_anew([one.entry for one in made]) == made
