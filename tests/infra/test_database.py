"""What PostgreSQL's failures mean, and migrations that may run twice."""

import asyncio
import socket

import asyncpg
import pytest
from sqlalchemy import text

from contracts.errors import ConfigError, DatabaseUnavailable
from infra.embedded.ports import free_ports
from infra.postgres import liveness
from infra.postgres.database import Database, raw
from infra.postgres.migrate import migrate


async def test_a_transaction_commits_at_its_end_and_rolls_back_on_any_error(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute(text("CREATE TABLE kept (n int)"))
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as tx:
            await tx.execute(text("INSERT INTO kept VALUES (1)"))
            raise ZeroDivisionError
    async with database.transaction() as tx:
        assert await tx.scalar(text("SELECT count(*) FROM kept")) == 0


async def test_a_server_that_is_away_is_unavailable_and_not_a_bug() -> None:
    (port,) = free_ports(1)
    database = Database.open(f"postgresql://nobody:x@127.0.0.1:{port}/none")
    with pytest.raises(DatabaseUnavailable):
        await database.ping()
    await database.close()


async def test_a_killed_backend_is_unavailable_and_the_pool_recovers(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with database.transaction() as tx:
            await tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    await database.ping()


async def test_both_sides_notice_when_the_other_is_gone_without_a_word(database: Database) -> None:
    single = await database.fetch_one("SHOW tcp_user_timeout")
    assert single is not None
    assert single[0] == liveness.SESSION["tcp_user_timeout"]
    async with database.transaction() as tx:
        for name, value in liveness.SESSION.items():
            assert await tx.scalar(text("SELECT current_setting(:name)"), {"name": name}) == value
        mine = (await raw(tx))._transport.get_extra_info("socket")
        assert mine.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert mine.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == liveness.NOTICED_MS


async def test_a_statement_that_is_wrong_stays_a_bug(database: Database) -> None:
    with pytest.raises(Exception, match="no_such_table") as raised:
        async with database.transaction() as tx:
            await tx.execute(text("SELECT * FROM no_such_table"))
    assert not isinstance(raised.value, DatabaseUnavailable)


async def test_a_deadlock_asks_for_a_retry(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute(text("CREATE TABLE locks (n int PRIMARY KEY)"))
        await tx.execute(text("INSERT INTO locks VALUES (1), (2)"))
    both = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> None:
        async with database.transaction() as tx:
            await tx.execute(text("SELECT 1 FROM locks WHERE n = :n FOR UPDATE"), {"n": first})
            await both.wait()
            await tx.execute(text("SELECT 1 FROM locks WHERE n = :n FOR UPDATE"), {"n": second})

    outcomes = await asyncio.gather(lock(1, 2), lock(2, 1), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [DatabaseUnavailable]


async def test_notifications_arrive(database: Database) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with database.listen("bell", heard.put_nowait):
        async with database.transaction() as tx:
            await tx.execute(text("SELECT pg_notify('bell', 'ding')"))
        async with asyncio.timeout(5):
            assert await heard.get() == "ding"


async def test_migrations_may_run_again_and_at_the_same_time(database: Database) -> None:
    results = await asyncio.gather(migrate(database), migrate(database))
    assert results[0] == results[1]
    assert results[0][0] == results[0][1]


async def test_a_database_of_a_newer_program_is_refused(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="9999"):
        await migrate(database)


async def test_the_migrations_make_the_tables_that_the_code_names(database: Database, database_dsn: str) -> None:
    import importlib
    import pkgutil

    from infra.postgres import tables

    for module in pkgutil.iter_modules(tables.__path__):
        importlib.import_module(f"{tables.__name__}.{module.name}")
    connection = await asyncpg.connect(database_dsn)
    rows = await connection.fetch(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
    )
    await connection.close()
    made = {(row["table_name"], row["column_name"]) for row in rows if row["table_name"] != "alembic_version"}
    named = {(table.name, column.name) for table in tables.metadata.tables.values() for column in table.columns}
    assert made == named
