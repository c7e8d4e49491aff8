"""Queries and inserts on ClickHouse from asyncio, embedded or over HTTP."""

import asyncio
import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from urllib.parse import unquote, urlsplit

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from contracts.errors import AnalyticsUnavailable, ConfigError
from infra.clickhouse.errors import analytics_errors

_tracer = trace.get_tracer("aihub.clickhouse")

T = TypeVar("T")
Row = dict[str, Any]
Connect = Callable[[str], Client]
"""Opens a client whose default database is the given one."""

CONNECT_TIMEOUT_S: Final = 3
DEADLINE_S: Final = 30.0
PING_DEADLINE_S: Final = 3.0
MAX_WAITING: Final = 256
"""Statements that may wait for a free thread; one more is refused instead of kept in memory."""

_SETTINGS: Final[dict[str, Any]] = {
    # A row and its duplicates share the event's time, hence the month's partition: FINAL need not look across.
    "do_not_merge_across_partitions_select_final": 1,
    # An insert that was answered is in the table, and is never taken for the repetition of an older one.
    "async_insert": 0,
    "insert_deduplicate": 0,
    # An import may bring years of months in one batch; the default of 100 would refuse it for ever.
    "max_partitions_per_insert_block": 0,
    # A lookup carries up to 4,000 identities in its text.
    "max_query_size": 1_048_576,
    "max_execution_time": int(DEADLINE_S),
}


class ClickHouse:
    """One database of one ClickHouse. Statements run in threads, at most `threads` at once.

    chDB and the HTTP interface behave alike: every thread has a client of its own (a chDB handle serializes its
    calls, handles run in parallel; measured with chDB 4.4). Nothing connects before it is first used.
    Raises, from every call: AnalyticsUnavailable when the server is away, hangs, or has no room.
    """

    def __init__(self, connect: Connect, database: str, threads: int) -> None:
        self.database = database
        self._connect = connect
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="clickhouse")
        self._free: queue.SimpleQueue[Client] = queue.SimpleQueue()
        self._waiting = 0

    @classmethod
    def open_chdb(cls, path: Path, database: str = "aihub", *, threads: int = 4) -> Self:
        """A database of the engine inside this process; a process has one engine and one directory."""

        def connect(name: str) -> Client:
            return clickhouse_connect.get_client(
                interface="chdb", path=str(path), database=name, settings=dict(_SETTINGS), tz_mode="aware"
            )

        return cls(connect, database, threads)

    @classmethod
    def open_http(
        cls,
        url: str,
        database: str | None = None,
        *,
        threads: int = 4,
        compress: bool = False,
        cafile: Path | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Self:
        """A database of the server at `http[s]://user:password@host:port/database`.

        `settings` go with every statement; replicated tables want `insert_quorum` and
        `select_sequential_consistency` there. Raises: ConfigError for another kind of URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError("The ClickHouse URL is not http://user:password@host:port/database")

        def connect(name: str) -> Client:
            return clickhouse_connect.get_client(
                interface=parts.scheme,
                host=parts.hostname,
                port=parts.port or (8443 if parts.scheme == "https" else 8123),
                username=unquote(parts.username or "default"),
                password=unquote(parts.password or ""),
                database=name,
                compress=compress,
                ca_cert=str(cafile) if cafile else None,
                connect_timeout=CONNECT_TIMEOUT_S,
                send_receive_timeout=int(DEADLINE_S),
                query_retries=0,
                autogenerate_session_id=False,
                settings={**_SETTINGS, **(settings or {})},
                tz_mode="aware",
            )

        return cls(connect, database or parts.path.strip("/") or "aihub", threads)

    async def query(
        self, sql: str, params: Mapping[str, Any] | None = None, *, deadline_s: float = DEADLINE_S
    ) -> list[Row]:
        """The rows, each a dict by column. Values go in as `{name:Type}`, bound by the server."""

        def read(client: Client) -> list[Row]:
            return list(client.query(sql, parameters=dict(params or {})).named_results())

        with self._span("query", sql):
            return await self._run(read, deadline_s)

    async def insert(
        self, table: str, columns: Sequence[Sequence[Any]], names: Sequence[str], types: Sequence[str]
    ) -> None:
        """Inserts column by column, all of one length. In the table when this returns; else perhaps, later."""

        def write(client: Client) -> None:
            client.insert(table, columns, column_names=names, column_type_names=types, column_oriented=True)

        with self._span("insert", table):
            await self._run(write, DEADLINE_S)

    async def insert_arrow(self, table: str, rows: pa.Table) -> None:
        """Inserts an Arrow table's columns, without making objects of them. In the table when this returns."""

        def write(client: Client) -> None:
            client.insert_arrow(table, rows)

        with self._span("insert", table):
            await self._run(write, DEADLINE_S)

    async def command(
        self, sql: str, params: Mapping[str, Any] | None = None, *, deadline_s: float = DEADLINE_S
    ) -> None:
        """Runs a statement that answers nothing."""
        await self._run(lambda client: client.command(sql, parameters=dict(params or {})), deadline_s)

    async def version(self) -> str:
        """What the engine calls its version."""
        rows = await self.query("SELECT version() AS version", deadline_s=PING_DEADLINE_S)
        return str(rows[0]["version"])

    async def ping(self) -> None:
        """Returns when the server answers."""
        await self.query("SELECT 1", deadline_s=PING_DEADLINE_S)

    async def create_database(self, on_cluster: str = "") -> None:
        """Creates the database unless it is there."""

        def create() -> None:
            client = self._connect("default")
            try:
                client.command(f"CREATE DATABASE IF NOT EXISTS `{self.database}` {on_cluster}")
            finally:
                client.close()

        await self._submit(create, DEADLINE_S)

    async def drop_database(self) -> None:
        """Drops the database with all that is in it."""
        await self.command(f"DROP DATABASE IF EXISTS `{self.database}`")

    async def close(self) -> None:
        """Waits for what runs (at most until its deadline) and closes the clients."""

        def finish() -> None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            while not self._free.empty():
                self._free.get_nowait().close()

        await asyncio.to_thread(finish)

    def _span(self, operation: str, text: str) -> AbstractContextManager[Span]:
        """A span by OpenTelemetry's names for databases; values are not in it, they are bound."""
        attributes = {
            "db.system.name": "clickhouse",
            "db.namespace": self.database,
            "db.operation.name": operation,
            "db.query.text": text,
        }
        return _tracer.start_as_current_span(f"clickhouse {operation}", kind=SpanKind.CLIENT, attributes=attributes)

    async def _run(self, work: Callable[[Client], T], deadline_s: float) -> T:
        return await self._submit(lambda: self._borrowed(work), deadline_s)

    async def _submit(self, work: Callable[[], T], deadline_s: float) -> T:
        """The result of `work` in a thread. The deadline counts from now; the thread ends by the driver's own."""
        if self._waiting >= MAX_WAITING:
            raise AnalyticsUnavailable("Too many statements wait for ClickHouse; try again")
        self._waiting += 1
        try:
            with analytics_errors():
                async with asyncio.timeout(deadline_s):
                    return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def _borrowed(self, work: Callable[[Client], T]) -> T:
        """Lends the thread a client; one that failed to connect leaves nothing behind."""
        try:
            client = self._free.get_nowait()
        except queue.Empty:
            client = self._connect(self.database)
        try:
            return work(client)
        finally:
            self._free.put(client)
