"""The laws over what came since they last held: as sharp as the whole check, without reading what was proved."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from contracts.errors import DatabaseUnavailable
from infra.ops.laws import broken_laws
from infra.postgres import ledger_proof
from infra.postgres.ledger_proof_since import _BY_KEY, _NEW_POSTINGS, _NEW_TRANSACTIONS, breaches_since
from tests.consumers.credits.conftest import Ledger
from tests.consumers.credits.records import batch, grant, usage

Found = dict[tuple[str, str, str], tuple[int, int]]


@pytest.fixture
async def sql(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A plain connection, as a superuser has one."""
    connection = await asyncpg.connect(database_dsn)
    yield connection
    await connection.close()


async def since(ledger: Ledger) -> Found:
    """What the check of the new finds."""
    async with ledger.database.transaction() as tx:
        return {one[:3]: one[3:] for one in await breaches_since(tx, ledger.clock.now())}


async def whole(ledger: Ledger) -> Found:
    """What the check of everything finds."""
    async with ledger.database.transaction() as tx:
        return {one[:3]: one[3:] for one in await ledger_proof.breaches(tx)}


async def test_every_row_that_was_forced_among_the_new_is_named_as_by_the_whole_check(
    ledger: Ledger, sql: asyncpg.Connection
) -> None:
    await ledger.handle(batch(grant("g"), usage("u"), grant("h", organization="org_2")))
    assert await since(ledger) == {}
    await ledger.handle(batch(usage("v"), usage("w", organization="org_2"), grant("i", organization="org_3")))
    assert await since(ledger) == {}
    await ledger.handle(batch(usage("x")))
    await sql.execute("UPDATE accounts SET balance_micros = balance_micros + 1 WHERE kind = 'wallet'")
    await sql.execute("UPDATE grants SET remaining_micros = remaining_micros - 2 WHERE organization_id = 'org_1'")
    await sql.execute("UPDATE ledger_heads SET seq = seq + 1 WHERE organization_id = 'org_2'")
    await sql.execute("ALTER TABLE postings DISABLE TRIGGER append_only")
    newest = "(SELECT id FROM ledger_transactions WHERE organization_id = 'org_1' ORDER BY seq DESC LIMIT 1)"
    change = f"UPDATE postings SET amount_micros = amount_micros + $1 WHERE line = 2 AND transaction_id = {newest}"
    await sql.execute(change, 3)
    found = await since(ledger)
    assert {law for law, _, _ in found} == set(ledger_proof.LAWS) - {"transaction_has_postings"}
    assert found == await whole(ledger)
    assert await since(ledger) == found, "a breach is no proof: it is found again"
    await sql.execute("UPDATE accounts SET balance_micros = balance_micros - 1 WHERE kind = 'wallet'")
    await sql.execute("UPDATE grants SET remaining_micros = remaining_micros + 2 WHERE organization_id = 'org_1'")
    await sql.execute("UPDATE ledger_heads SET seq = seq - 1 WHERE organization_id = 'org_2'")
    await sql.execute(change, -3)
    await sql.execute("ALTER TABLE postings ENABLE TRIGGER append_only")
    assert await since(ledger) == {}


async def test_what_was_proved_is_not_read_again_but_by_the_whole_check(
    ledger: Ledger, sql: asyncpg.Connection
) -> None:
    await ledger.handle(batch(grant("g"), usage("u")))
    assert await since(ledger) == {}
    await sql.execute("ALTER TABLE postings DISABLE TRIGGER append_only")
    await sql.execute("UPDATE postings SET amount_micros = amount_micros + 3 WHERE account = 'revenue'")
    assert await since(ledger) == {}
    assert await whole(ledger)
    await sql.execute("UPDATE postings SET amount_micros = amount_micros - 3 WHERE account = 'revenue'")
    await sql.execute("ALTER TABLE postings ENABLE TRIGGER append_only")


async def test_what_is_new_is_found_by_its_key_however_much_there_is(ledger: Ledger, sql: asyncpg.Connection) -> None:
    await ledger.handle(batch(grant("g"), usage("u")))
    async with sql.transaction():
        for statement in _BY_KEY:
            await sql.execute(statement)
        plans = await sql.fetch(f"EXPLAIN {_NEW_TRANSACTIONS}")
        await sql.execute(_NEW_TRANSACTIONS)
        plans += await sql.fetch(f"EXPLAIN {_NEW_POSTINGS}")
    scans = [line[0] for line in plans if " on postings" in line[0] or " on ledger_transactions" in line[0]]
    assert len(scans) == 2
    assert all("Index" in scan for scan in scans), scans


async def test_a_transaction_that_is_taken_away_after_its_proof_is_missed(
    ledger: Ledger, sql: asyncpg.Connection
) -> None:
    await ledger.handle(batch(grant("g"), usage("u")))
    assert await since(ledger) == {}
    await sql.execute("UPDATE ledger_heads SET seq = seq - 1")
    assert set(await since(ledger)) == {("numbers_have_no_gaps", "org_1", "1")}
    await sql.execute("UPDATE ledger_heads SET seq = seq + 1")


async def test_the_books_balance_in_one_snapshot_while_others_book(ledger: Ledger) -> None:
    async def book() -> None:
        for number in range(30):
            await ledger.handle(batch(grant(f"g{number}"), *(usage(f"u{number}-{one}") for one in range(5))))

    booking = asyncio.create_task(book())
    checks = 0
    while not booking.done():
        assert await broken_laws(ledger.database, ledger.clock.now()) == []
        checks += 1
    await booking
    assert checks > 1
    assert await since(ledger) == {}


async def test_of_two_checks_at_once_one_may_have_to_come_again_and_the_proof_is_whole(ledger: Ledger) -> None:
    await ledger.handle(batch(grant("g"), usage("u")))

    async def check() -> bool:
        try:
            return await broken_laws(ledger.database, ledger.clock.now()) == []
        except DatabaseUnavailable:
            return True

    assert all(await asyncio.gather(*(check() for _ in range(4))))
    assert await since(ledger) == {}
    assert await ledger.rows("SELECT seq FROM ledger_proofs") == await ledger.rows("SELECT seq FROM ledger_heads")
