"""The outbox: events that a transaction states, kept beside its rows until they are in Kafka."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
from sqlalchemy import text

from infra.postgres.database import Database, Tx, database_errors, raw

CHANNEL: Final = "aihub_outbox"
_LOCK: Final = 7_261_002
_LOCK_TIMEOUT_S: Final = 5.0


class OutboxRow(NamedTuple):
    """Several events of one organization for one topic, in order."""

    id: int
    topic: str
    organization: str
    payloads: list[bytes]
    traceparent: str | None


class NewRow(NamedTuple):
    """The same before it is written."""

    topic: str
    organization: str
    payloads: list[bytes]
    traceparent: str | None


async def add(tx: Tx, row: NewRow) -> None:
    """One row; whoever relays wakes up at the commit."""
    await (await raw(tx)).execute(
        """
        WITH added AS (
            INSERT INTO outbox (topic, organization_id, payloads, size_bytes, traceparent)
            VALUES ($1, $2, $3, $4, $5)
        )
        SELECT pg_notify($6, '')
        """,
        row.topic,
        row.organization,
        row.payloads,
        _size(row),
        row.traceparent,
        CHANNEL,
    )


async def add_many(tx: Tx, rows: Sequence[NewRow]) -> None:
    """Several rows by one COPY, in order; whoever relays wakes up at the commit."""
    connection = await raw(tx)
    await connection.copy_records_to_table(
        "outbox",
        columns=("topic", "organization_id", "payloads", "size_bytes", "traceparent"),
        records=[(row.topic, row.organization, row.payloads, _size(row), row.traceparent) for row in rows],
    )
    await connection.execute("SELECT pg_notify($1, '')", CHANNEL)


async def oldest(tx: Tx, *, rows: int, size_bytes: int) -> list[OutboxRow]:
    """The oldest rows in order, up to so many rows and bytes, but at least one."""
    found = await tx.execute(
        text("""
            SELECT id, topic, organization_id, payloads, traceparent
            FROM (
                SELECT *, sum(size_bytes) OVER (ORDER BY id) - size_bytes AS before
                FROM (SELECT * FROM outbox ORDER BY id LIMIT :rows) AS first
            ) AS summed
            WHERE before < :size_bytes
            ORDER BY id
        """),
        {"rows": rows, "size_bytes": size_bytes},
    )
    return [OutboxRow(*row) for row in found]


async def remove(tx: Tx, ids: Sequence[int]) -> None:
    """Forgets rows that are in Kafka."""
    await tx.execute(text("DELETE FROM outbox WHERE id = ANY(:ids)"), {"ids": list(ids)})


async def pending(tx: Tx) -> tuple[int, datetime | None]:
    """How many rows wait (counted up to 100,000), and since when the oldest does."""
    found = await tx.execute(
        text("SELECT count(*), min(created_at) FROM (SELECT created_at FROM outbox ORDER BY id LIMIT 100000) AS first")
    )
    count, since = found.one()
    return int(count), since


class Leadership:
    """A session that may hold the right to relay; the server takes it back when the session ends."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._held = False

    async def held(self) -> bool:
        """Whether this session relays, asked of the server: takes the right when it is free.

        Raises: DatabaseUnavailable when the session is gone, and the right with it.
        """
        with database_errors():
            if self._held:
                await self._connection.fetchval("SELECT 1", timeout=_LOCK_TIMEOUT_S)
            else:
                found = await self._connection.fetchval(
                    "SELECT pg_try_advisory_lock($1)", _LOCK, timeout=_LOCK_TIMEOUT_S
                )
                self._held = bool(found)
        return self._held


@asynccontextmanager
async def leadership(database: Database, wake: Callable[[], Any]) -> AsyncIterator[Leadership]:
    """A session of its own that calls `wake` at every new row. Raises: DatabaseUnavailable."""
    async with database.listen(CHANNEL, lambda _payload: wake()) as connection:
        yield Leadership(connection)


def _size(row: NewRow) -> int:
    return sum(len(payload) for payload in row.payloads)
