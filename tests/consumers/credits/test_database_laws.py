"""What PostgreSQL itself refuses, whoever asks; and what the checks find when it was forced."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from infra.postgres import ledger_proof
from tests.consumers.credits.conftest import Ledger
from tests.consumers.credits.records import batch, grant, usage

TX = UUID(int=1)
HEADER = """
    INSERT INTO ledger_transactions (id, organization_id, seq, kind, amount_micros, used_at, accepted_at, booked_at,
        detail, available_after_micros, debt_after_micros, hash)
    VALUES ($1, 'org_x', 1, 'charge', 1, now(), now(), now(), '{}', 0, 0, '')
"""


@pytest.fixture
async def sql(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A plain connection, as a superuser has one."""
    connection = await asyncpg.connect(database_dsn)
    yield connection
    await connection.close()


async def post(sql: asyncpg.Connection, *lines: tuple[Any, ...], header: bool = True) -> None:
    """A header and its postings (transaction, line, organization, account, amount, asset) in one transaction."""
    async with sql.transaction():
        if header:
            await sql.execute(HEADER, TX)
        columns = ["transaction_id", "line", "organization_id", "account", "amount_micros", "asset"]
        await sql.copy_records_to_table("postings", records=lines, columns=columns)


def line(number: int, amount: int, organization: str = "org_x", asset: str = "credit") -> tuple[Any, ...]:
    return (TX, number, organization, "wallet", amount, asset)


@pytest.mark.parametrize(
    "lines",
    [
        (line(1, 5), line(2, -4)),
        (line(1, 0),),
        (line(1, 5), line(2, -5, asset="dollar")),
        (line(1, 5), line(2, -5), line(3, 1, asset="dollar")),
        (line(2, 5), line(3, -5)),
        (line(1, 5), line(3, -5)),
        (line(1, 5), line(2, -5, organization="org_y")),
        (line(1, 5, organization="org_y"), line(2, -5, organization="org_y")),
    ],
)
async def test_unbalanced_or_incomplete_postings_are_refused(
    sql: asyncpg.Connection, lines: tuple[tuple[Any, ...], ...]
) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="is not balanced"):
        await post(sql, *lines)
    assert await sql.fetchval("SELECT count(*) FROM ledger_transactions") == 0


async def test_balanced_postings_are_taken_per_asset(sql: asyncpg.Connection) -> None:
    await post(sql, line(1, 5), line(2, -5), line(3, 7, asset="dollar"), line(4, -7, asset="dollar"))


async def test_postings_without_a_header_are_refused(sql: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="is not balanced"):
        await post(sql, line(1, 5), line(2, -5), header=False)


async def test_a_header_without_postings_is_refused_at_the_commit(sql: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="has no postings"):
        await sql.execute(HEADER, TX)


async def test_nothing_is_added_to_a_transaction_later(sql: asyncpg.Connection) -> None:
    await post(sql, line(1, 5), line(2, -5))
    with pytest.raises(asyncpg.CheckViolationError, match="is not balanced"):
        await post(sql, line(3, 5), line(4, -5), header=False)
    with pytest.raises(asyncpg.UniqueViolationError):
        await post(sql, line(1, 5), line(2, -5), header=False)


@pytest.mark.parametrize("table", ["ledger_transactions", "postings", "inbox", "price_books", "prices"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "TRUNCATE {} CASCADE", "UPDATE {} SET {} = {}"])
async def test_what_was_booked_is_never_changed(
    ledger: Ledger, sql: asyncpg.Connection, table: str, change: str
) -> None:
    await ledger.handle(batch(grant("g"), usage("u")))
    column = await sql.fetchval(
        "SELECT column_name FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position", table
    )
    with pytest.raises(asyncpg.PostgresError, match="never changed"):
        await sql.execute(change.format(table, column, column))


async def test_a_charge_is_reversed_at_most_once_also_by_hand(ledger: Ledger, sql: asyncpg.Connection) -> None:
    await ledger.handle(batch(usage("u")))
    original = await sql.fetchval("SELECT id FROM ledger_transactions")
    reversal = HEADER.replace("hash)", "hash, reverses)").replace("'')", "'', $2)").replace("org_x', 1", "org_x', $3")
    with pytest.raises(asyncpg.UniqueViolationError):
        async with sql.transaction():
            await sql.execute(reversal, UUID(int=1), original, 1)
            await sql.execute(reversal, UUID(int=2), original, 2)


async def test_wallets_are_never_negative_and_debt_never_positive(sql: asyncpg.Connection) -> None:
    for kind, amount in (("wallet", -1), ("held", -1), ("debt", 1)):
        with pytest.raises(asyncpg.CheckViolationError):
            await sql.execute("INSERT INTO accounts VALUES ('org_x', $1, $2)", kind, amount)


async def test_the_laws_name_each_row_that_was_forced(ledger: Ledger, sql: asyncpg.Connection) -> None:
    await ledger.handle(batch(grant("g"), usage("u"), grant("h", organization="org_2")))
    lot = await sql.fetchval("SELECT id::text FROM grants WHERE organization_id = 'org_1'")
    charge = await sql.fetchval("SELECT id::text FROM ledger_transactions WHERE kind = 'charge'")
    async with ledger.database.transaction() as tx:
        assert await ledger_proof.breaches(tx) == []
    await sql.execute("UPDATE accounts SET balance_micros = balance_micros + 1 WHERE kind = 'wallet'")
    await sql.execute("UPDATE grants SET remaining_micros = remaining_micros - 2 WHERE organization_id = 'org_1'")
    await sql.execute("UPDATE ledger_heads SET seq = seq + 1 WHERE organization_id = 'org_2'")
    await sql.execute("ALTER TABLE postings DISABLE TRIGGER append_only")
    await sql.execute("UPDATE postings SET amount_micros = amount_micros + 3 WHERE account = 'revenue'")
    async with ledger.database.transaction() as tx:
        found = {(one.law, one.organization, one.id): one[3:] for one in await ledger_proof.breaches(tx)}
    assert found == {
        ("postings_sum_to_zero", "org_1", charge): (0, 3),
        ("balance_is_sum_of_postings", "org_1", "wallet"): (90_000_000, 90_000_001),
        ("balance_is_sum_of_postings", "org_2", "wallet"): (100_000_000, 100_000_001),
        ("balance_is_sum_of_postings", "org_1", "revenue"): (10_000_003, 10_000_000),
        ("remaining_is_sum_of_postings", "org_1", lot): (90_000_000, 89_999_998),
        ("wallet_is_sum_of_remaining", "org_1", "wallet"): (89_999_998, 90_000_001),
        ("wallet_is_sum_of_remaining", "org_2", "wallet"): (100_000_000, 100_000_001),
        ("numbers_have_no_gaps", "org_2", "2"): (2, 1),
    }
    await sql.execute("UPDATE accounts SET balance_micros = balance_micros - 1 WHERE kind = 'wallet'")
    await sql.execute("UPDATE grants SET remaining_micros = remaining_micros + 2 WHERE organization_id = 'org_1'")
    await sql.execute("UPDATE ledger_heads SET seq = seq - 1 WHERE organization_id = 'org_2'")
    await sql.execute("UPDATE postings SET amount_micros = amount_micros - 3 WHERE account = 'revenue'")


@pytest.mark.parametrize(
    ("table", "change", "broken"),
    [
        ("ledger_transactions", "amount_micros = 1 WHERE seq = 2", 2),
        ("ledger_transactions", "booked_at = booked_at + interval '1 microsecond' WHERE seq = 1", 1),
        ("ledger_transactions", "detail = '{}' WHERE seq = 3", 3),
        ("postings", "account = 'promo' WHERE account = 'revenue'", 2),
        ("ledger_heads", "hash = '\\x00'", 3),
    ],
)
async def test_a_changed_row_breaks_the_chain(ledger: Ledger, table: str, change: str, broken: int) -> None:
    await ledger.handle(batch(grant("g"), usage("u", accepted_at=ledger.clock.now()), usage("v")))
    tx_rolled_back = ledger.database.engine.connect()
    async with tx_rolled_back as tx:
        if table != "ledger_heads":
            await tx.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        await tx.exec_driver_sql(f"UPDATE {table} SET {change}")
        assert await ledger_proof.verify(tx, "org_1") == (broken - 1, broken)
        await tx.rollback()


async def test_a_long_chain_is_verified_page_by_page(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_proof, "PAGE", 7)
    await ledger.handle(batch(*[usage(f"u{n}", n) for n in range(20)]))
    async with ledger.database.transaction() as tx:
        assert await ledger_proof.verify(tx, "org_1") == (20, None)
        assert await ledger_proof.verify(tx, "org_none") == (0, None)


async def test_spending_updates_stay_in_the_heap(ledger: Ledger, sql: asyncpg.Connection) -> None:
    await ledger.handle(batch(grant("g", 1_000)))
    for number in range(20):
        await ledger.handle(batch(usage(f"u{number}")))
    await sql.execute("SELECT pg_stat_force_next_flush()")
    rows = await sql.fetch(
        "SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables"
        " WHERE relname IN ('accounts', 'grants', 'ledger_heads', 'ledger_progress')"
    )
    for row in rows:
        assert row["n_tup_hot_upd"] == row["n_tup_upd"], row["relname"]
