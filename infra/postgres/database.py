"""Connections, transactions and what their failures mean."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Self

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from contracts.errors import DatabaseUnavailable
from infra.postgres import liveness, tenancy

CONNECT_TIMEOUT_S: Final = 5.0
STATEMENT_TIMEOUT_MS: Final = 30_000
SINGLE_CONNECTIONS: Final = 4
POOL_WAIT_S: Final = 10.0

# SQLSTATE classes that mean "the server, not the statement": connection, resources, operator intervention,
# system error; and serialization failures and deadlocks, which a retry of the whole transaction mends.
_TRANSIENT: Final = ("08", "53", "57", "58", "40")

_ACT_FOR: Final = text("SELECT set_config('role', :role, true), set_config('aihub.organization', :organization, true)")

Tx = AsyncConnection
"""One open transaction; whoever opened it commits."""


class Database:
    """A pool of connections to one PostgreSQL database."""

    def __init__(self, engine: AsyncEngine, dsn: str) -> None:
        self.engine = engine
        self.dsn = dsn
        self._single: asyncpg.Pool | None = None

    @classmethod
    def open(cls, dsn: str, *, pool_size: int = 10, application: str = "aihub") -> Self:
        """A pool for `postgresql://user:password@host:port/name`; connects when first used."""
        engine = create_async_engine(
            dsn.replace("postgresql://", "postgresql+asyncpg://", 1),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_WAIT_S,
            pool_pre_ping=False,
            pool_use_lifo=True,
            connect_args={
                "timeout": CONNECT_TIMEOUT_S,
                "server_settings": _session(application),
            },
        )
        event.listen(engine.sync_engine, "connect", _watch)
        event.listen(engine.sync_engine, "checkout", _replace_closed)
        return cls(engine, dsn)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """One transaction: commits at the end, rolls back on any error.

        Inside a request of an organization it sees that organization's rows only (infra.postgres.tenancy).
        Raises: DatabaseUnavailable when the server is down, full, or asks for a retry (deadlock).
        """
        organization_id = tenancy.tenant()
        async with self.unscoped() as tx:
            if organization_id is not None:
                await tx.execute(_ACT_FOR, {"role": tenancy.ROLE, "organization": organization_id})
            yield tx

    @asynccontextmanager
    async def unscoped(self) -> AsyncIterator[Tx]:
        """One transaction as the owner, whoever asks: for what belongs to a person and to no organization.

        Raises: DatabaseUnavailable.
        """
        with database_errors():
            async with self.engine.begin() as tx:
                yield tx

    async def fetch_one(self, sql: str, *values: Any) -> asyncpg.Record | None:
        """The first row of one statement, which commits by itself, as the owner: a tenth of a transaction's CPU.

        On a few connections beside the pool, so that it does not wait where requests do. Raises: DatabaseUnavailable.
        """
        with database_errors():
            if self._single is None:
                self._single = asyncpg.create_pool(
                    self.dsn,
                    min_size=0,
                    max_size=SINGLE_CONNECTIONS,
                    timeout=CONNECT_TIMEOUT_S,
                    server_settings=_session("aihub single"),
                    init=liveness.watch_new,
                )
            await self._single  # sets it up once; with no connection to begin with nothing is waited for
            return await self._single.fetchrow(sql, *values)

    async def ping(self) -> None:
        """Returns when the server answers. Raises: DatabaseUnavailable."""
        async with self.transaction() as tx:
            await tx.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Closes all connections."""
        if self._single is not None:
            self._single.terminate()
        await self.engine.dispose()

    @asynccontextmanager
    async def listen(self, channel: str, on_notify: Callable[[str], None]) -> AsyncIterator[asyncpg.Connection]:
        """Calls `on_notify(payload)` for every NOTIFY on the channel, on a connection of its own.

        The connection may die at any time: whoever listens also polls. Raises: DatabaseUnavailable.
        """
        with database_errors():
            connection = await asyncpg.connect(
                self.dsn, timeout=CONNECT_TIMEOUT_S, server_settings=_session("aihub listener")
            )
            liveness.watch(connection)
        try:

            def received(_connection: Any, _pid: int, _channel: str, payload: str) -> None:
                on_notify(payload)

            with database_errors():
                await connection.add_listener(channel, received)
            yield connection
        finally:
            await connection.close(timeout=1.0) if not connection.is_closed() else None


def _session(application: str) -> dict[str, str]:
    session = {"application_name": application, "statement_timeout": str(STATEMENT_TIMEOUT_MS), "timezone": "UTC"}
    return session | liveness.SESSION


async def raw(tx: Tx) -> asyncpg.Connection:
    """asyncpg's own connection inside the transaction, for COPY and `unnest` in bulk."""
    connection = await tx.get_raw_connection()
    adapted: Any = connection.dbapi_connection
    # SQLAlchemy sends BEGIN with its own first statement: a statement that is only asyncpg's would commit by itself.
    if adapted._transaction is None:
        try:
            await adapted._start_transaction()
        except BaseException:
            # Cancelled while BEGIN was on its way: back in the pool, asyncpg would take the next transaction for a
            # savepoint of this one, and its COMMIT would commit nothing.
            await tx.invalidate()
            raise
    return connection.driver_connection


def _watch(dbapi_connection: Any, _record: object) -> None:
    liveness.watch(dbapi_connection.driver_connection)


def _replace_closed(dbapi_connection: Any, _record: object, _proxy: object) -> None:
    """At checkout: a session that the server has ended is replaced by a new one, at no round trip.

    SQLAlchemy does not see what ends a session under `raw`: its pool would hand the dead one out for ever.
    """
    if dbapi_connection.driver_connection.is_closed():
        raise DisconnectionError("the session has ended")


class database_errors:  # noqa: N801 - reads as a verb: `with database_errors():`
    """Turns what the drivers raise for a server that is away into DatabaseUnavailable; lets bugs through."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None and is_transient(error):
            raise DatabaseUnavailable(f"PostgreSQL does not answer ({type(error).__name__}); try again") from error


def is_transient(error: BaseException) -> bool:
    """Whether the same statement may well succeed later."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        if isinstance(error, OperationalError | InterfaceError) and error.connection_invalidated:
            return True
        error = error.orig
    if isinstance(error, AsyncAdapt_asyncpg_dbapi.Error):  # bare when `raw` began the transaction
        error = error.__cause__ or error
    if isinstance(error, PoolTimeout | asyncio.TimeoutError | OSError):
        return True
    if isinstance(error, asyncpg.PostgresError):
        return str(getattr(error, "sqlstate", "") or "").startswith(_TRANSIENT)
    if isinstance(error, ValueError):  # asyncpg's own DataError: a value that no retry will make fit
        return False
    return isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError)
