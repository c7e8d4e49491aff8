"""The queue of due deliveries: dispatchers register, lease rows, and give them back.

A row is leased while its `lease_owner` is a dispatcher whose heartbeat is fresh: one row written a second keeps every
lease of a dispatcher alive, and when it dies all of them are free at once. `fencing` grows with every lease, so
that whoever held an earlier one can change nothing any more. Every function takes the time; none reads it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import delete, insert, or_, select, update

from infra.postgres.database import Tx, raw
from infra.postgres.tables.webhooks import webhook_dispatchers as dispatchers
from infra.postgres.tables.webhooks import webhook_endpoints as endpoints

DEAD_AFTER: Final = timedelta(seconds=6)
"""A dispatcher that has not told so for this long is dead: heartbeats are sent every second."""
RESTARTED_AFTER: Final = timedelta(seconds=2)
"""The same for a dispatcher of one's own name, at start: it is most likely one's own dead incarnation."""

# Statistics of these tables lag far behind while a backlog builds up; the right plan is always the index.
_HURRY: Final = """
    SET LOCAL synchronous_commit = off;
    SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off
"""


class Leased(NamedTuple):
    """One delivery in hand: `attempts` were made before; `fencing` proves the lease when the result is written."""

    id: UUID
    owner: UUID
    endpoint_id: str
    message_id: UUID
    attempts: int
    fencing: int
    due_at: datetime
    payload: str
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Target:
    """Where deliveries of an endpoint go: `secrets` valid now, newest first."""

    id: str
    organization: str
    url: str
    headers: dict[str, str]
    secrets: tuple[str, ...]
    failures: int
    breaker_trips: int
    breaker_until: datetime | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """An endpoint that has pending rows: `due` at least one now, `active` may be sent to, `paused` by its breaker."""

    endpoint_id: str
    due: bool
    active: bool
    deleted: bool
    paused: bool


async def register(tx: Tx, dispatcher: UUID, name: str, now: datetime) -> None:
    """Makes the dispatcher known, and frees what earlier incarnations of that name, or dead ones, still held."""
    await tx.execute(
        delete(dispatchers).where(
            or_(
                dispatchers.c.heartbeat_at < now - DEAD_AFTER,
                (dispatchers.c.name == name) & (dispatchers.c.heartbeat_at < now - RESTARTED_AFTER),
            )
        )
    )
    await tx.execute(insert(dispatchers).values(id=dispatcher, name=name, heartbeat_at=now))


async def heartbeat(tx: Tx, dispatcher: UUID, now: datetime) -> bool:
    """Keeps every lease of the dispatcher; False when it has been declared dead and must start anew."""
    found = await tx.execute(
        update(dispatchers).where(dispatchers.c.id == dispatcher).values(heartbeat_at=now).returning(dispatchers.c.id)
    )
    return found.first() is not None


async def bury_dead(tx: Tx, dispatcher: UUID, now: datetime) -> int:
    """How many other dispatchers were silent for too long and are removed; their rows are free."""
    silent = (dispatchers.c.heartbeat_at < now - DEAD_AFTER) & (dispatchers.c.id != dispatcher)
    return (await tx.execute(delete(dispatchers).where(silent))).rowcount


async def unregister(tx: Tx, dispatcher: UUID) -> None:
    """Frees everything that the dispatcher still holds."""
    await tx.execute(delete(dispatchers).where(dispatchers.c.id == dispatcher))


_FREE: Final = """
    (lease_owner IS NULL OR lease_owner <> $1 AND lease_owner <> ALL (
        ARRAY(SELECT id FROM webhook_dispatchers WHERE heartbeat_at >= $2)))
"""

_LEASE: Final = f"""
    WITH picked AS (
        SELECT free.id
        FROM unnest($4::text[], $5::int[]) AS wanted (endpoint_id, room)
        JOIN webhook_endpoints e ON e.id = wanted.endpoint_id AND e.enabled AND e.deleted_at IS NULL
        CROSS JOIN LATERAL (
            SELECT id FROM webhook_deliveries
            WHERE endpoint_id = wanted.endpoint_id AND state = 'pending' AND due_at <= $3 AND {_FREE}
            ORDER BY due_at, id LIMIT wanted.room
            FOR UPDATE SKIP LOCKED
        ) free
    ), leased AS (
        UPDATE webhook_deliveries d SET lease_owner = $1, fencing = fencing + 1
        FROM picked WHERE d.id = picked.id
        RETURNING d.id, d.lease_owner, d.endpoint_id, d.message_id, d.attempts, d.fencing, d.due_at
    )
    SELECT leased.*, m.payload, m.traceparent
    FROM leased JOIN webhook_messages m ON m.id = leased.message_id
    ORDER BY leased.due_at, leased.id
"""  # noqa: S608 - no input in it


async def lease(tx: Tx, dispatcher: UUID, rooms: Sequence[tuple[str, int]], now: datetime) -> list[Leased]:
    """Due rows of these endpoints, at most `room` of each, oldest first; disabled endpoints give none."""
    connection = await raw(tx)
    await connection.execute(_HURRY)
    rows = await connection.fetch(
        _LEASE, dispatcher, now - DEAD_AFTER, now, [name for name, _ in rooms], [room for _, room in rooms]
    )
    return [Leased(*row) for row in rows]


async def targets(tx: Tx, endpoint_ids: Sequence[str], now: datetime) -> dict[str, Target]:
    """Where to send for these endpoints."""
    found = await tx.execute(
        select(
            endpoints.c.id,
            endpoints.c.organization_id,
            endpoints.c.url,
            endpoints.c.headers,
            endpoints.c.secrets,
            endpoints.c.failures,
            endpoints.c.breaker_trips,
            endpoints.c.breaker_until,
        ).where(endpoints.c.id.in_(endpoint_ids))
    )
    return {row.id: Target(row.id, row.organization_id, row.url, dict(row.headers), _valid(row.secrets, now),
                           row.failures, row.breaker_trips, row.breaker_until) for row in found}  # fmt: skip


def _valid(secrets: list[dict[str, str | None]], now: datetime) -> tuple[str, ...]:
    return tuple(
        str(entry["secret"])
        for entry in secrets
        if entry["until"] is None or datetime.fromisoformat(entry["until"]) > now
    )


_WAITING: Final = f"""
    WITH RECURSIVE waiting AS (
        (SELECT endpoint_id FROM webhook_deliveries WHERE state = 'pending' ORDER BY endpoint_id LIMIT 1)
        UNION ALL
        SELECT (SELECT d.endpoint_id FROM webhook_deliveries d
                WHERE d.state = 'pending' AND d.endpoint_id > waiting.endpoint_id ORDER BY d.endpoint_id LIMIT 1)
        FROM waiting WHERE waiting.endpoint_id IS NOT NULL
    )
    SELECT e.id,
           EXISTS (SELECT FROM webhook_deliveries
                   WHERE endpoint_id = e.id AND state = 'pending' AND due_at <= $3 AND {_FREE}) AS due,
           e.enabled AND e.deleted_at IS NULL AS active,
           e.deleted_at IS NOT NULL AS deleted,
           e.breaker_until IS NOT NULL AS paused
    FROM waiting JOIN webhook_endpoints e ON e.id = waiting.endpoint_id
"""  # noqa: S608 - no input in it


async def waiting(tx: Tx, dispatcher: UUID, now: datetime) -> list[Waiting]:
    """Every endpoint with pending rows: one step in the index for each, however many rows it has."""
    connection = await raw(tx)
    await connection.execute(_HURRY)
    rows = await connection.fetch(_WAITING, dispatcher, now - DEAD_AFTER, now)
    return [Waiting(*row) for row in rows]


_SET_ASIDE: Final = f"""
    UPDATE webhook_deliveries SET state = $4, last_error = $5, lease_owner = NULL,
           finished_at = CASE WHEN $4 = 'dead' THEN $3::timestamptz END
    WHERE id IN (
        SELECT id FROM webhook_deliveries WHERE endpoint_id = $6 AND state = 'pending' AND {_FREE}
        ORDER BY due_at LIMIT 1000 FOR UPDATE SKIP LOCKED)
"""  # noqa: S608 - no input in it


async def set_aside(tx: Tx, dispatcher: UUID, endpoint: Waiting, now: datetime) -> None:
    """Holds up to 1,000 rows of an endpoint that is switched off; ends those of one that is deleted."""
    state, why = ("dead", "the endpoint was deleted") if endpoint.deleted else ("held", "the endpoint is disabled")
    connection = await raw(tx)
    await connection.execute(_HURRY)
    await connection.execute(_SET_ASIDE, dispatcher, now - DEAD_AFTER, now, state, why, endpoint.endpoint_id)


async def release(tx: Tx, leased: Sequence[Leased]) -> None:
    """Gives leased rows back untouched: no attempt is counted. A lease that has passed on meanwhile stays."""
    if leased:
        connection = await raw(tx)
        await connection.execute(
            "UPDATE webhook_deliveries d SET lease_owner = NULL"
            " FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS r (id, owner, fencing)"
            " WHERE d.id = r.id AND d.lease_owner = r.owner AND d.fencing = r.fencing",
            [row.id for row in leased],
            [row.owner for row in leased],
            [row.fencing for row in leased],
        )


async def release_unknown(tx: Tx, dispatcher: UUID, known: Sequence[UUID]) -> None:
    """Gives back what the dispatcher holds without knowing: leases whose answer was lost on the way."""
    connection = await raw(tx)
    await connection.execute(
        "UPDATE webhook_deliveries SET lease_owner = NULL"
        " WHERE state = 'pending' AND lease_owner = $1 AND id <> ALL ($2)",
        dispatcher,
        known,
    )


async def count_due(tx: Tx, now: datetime) -> int:
    """Rows that are due, leased ones included."""
    connection = await raw(tx)
    due: int = await connection.fetchval(
        "SELECT count(*) FROM webhook_deliveries WHERE state = 'pending' AND due_at <= $1", now
    )
    return due
