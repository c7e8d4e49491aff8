"""Writes what endpoints are to be told: messages and their deliveries, a whole batch in one statement."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import select

from infra.postgres.database import Tx, raw
from infra.postgres.tables.webhooks import webhook_endpoints as endpoints

CHANNEL: Final = "aihub_deliveries"
_IDS_PER_NOTIFY: Final = 150  # a NOTIFY carries less than 8,000 bytes


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which events an endpoint wants: those accepted since it exists, of types that the patterns match."""

    endpoint_id: str
    patterns: frozenset[str]
    since: datetime
    enabled: bool


class NewMessage(NamedTuple):
    """One event for one organization's endpoints: `deliveries` are (delivery id, endpoint id), maybe none."""

    id: UUID
    organization: str
    event_id: str
    source: str
    type: str
    payload: str
    cause_source: str | None
    cause_id: str | None
    traceparent: str | None
    deliveries: tuple[tuple[UUID, str], ...]


async def subscriptions(tx: Tx, organizations: Sequence[str]) -> dict[str, list[Subscription]]:
    """The endpoints of these organizations, disabled ones included: their events are kept, not delivered."""
    found = await tx.execute(
        select(
            endpoints.c.organization_id,
            endpoints.c.id,
            endpoints.c.event_types,
            endpoints.c.created_at,
            endpoints.c.enabled,
        ).where(endpoints.c.organization_id.in_(organizations), endpoints.c.deleted_at.is_(None))
    )
    by_organization: dict[str, list[Subscription]] = defaultdict(list)
    for organization, endpoint, patterns, since, enabled in found:
        by_organization[organization].append(Subscription(endpoint, frozenset(patterns), since, enabled))
    return by_organization


_INSERT: Final = """
    WITH new_messages AS (
        INSERT INTO webhook_messages
            (id, organization_id, event_id, source, type, payload, cause_source, cause_id, traceparent, created_at)
        SELECT *, $15::timestamptz
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                    $9::text[])
        ON CONFLICT (organization_id, event_id, source) DO NOTHING
        RETURNING id
    ), new_deliveries AS (
        INSERT INTO webhook_deliveries
            (id, organization_id, endpoint_id, message_id, state, attempts, due_at, fencing, created_at)
        SELECT planned.id, planned.organization_id, planned.endpoint_id, planned.message_id, 'pending', 0, $14, 0, $14
        FROM unnest($10::uuid[], $11::text[], $12::text[], $13::uuid[])
            AS planned (id, organization_id, endpoint_id, message_id)
        JOIN new_messages ON new_messages.id = planned.message_id
        RETURNING endpoint_id
    )
    SELECT endpoint_id, count(*) FROM new_deliveries GROUP BY endpoint_id ORDER BY endpoint_id
"""


async def insert_messages(tx: Tx, messages: Sequence[NewMessage], now: datetime) -> dict[str, int]:
    """How many deliveries each endpoint got. A message that was there before, or twice in the batch, adds nothing.

    Wakes the dispatchers when the transaction commits.
    """
    connection = await raw(tx)
    ordered = sorted(messages, key=lambda message: (message.organization, message.event_id, message.source))
    planned = [(delivery, message.organization, endpoint, message.id) for message in ordered
               for delivery, endpoint in message.deliveries]  # fmt: skip
    rows = await connection.fetch(
        _INSERT,
        *_columns([message[:9] for message in ordered], 9),
        *_columns(planned, 4),
        now,
        now,
    )
    counts = {row[0]: row[1] for row in rows}
    await _wake(tx, list(counts))
    return counts


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[index] for row in rows] for index in range(width)]


async def _wake(tx: Tx, endpoint_ids: Sequence[str]) -> None:
    connection = await raw(tx)
    for start in range(0, len(endpoint_ids), _IDS_PER_NOTIFY):
        part = ",".join(endpoint_ids[start : start + _IDS_PER_NOTIFY])
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, part)
