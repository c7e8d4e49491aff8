"""Deliveries and their attempts, as people look at them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, and_, or_, select, update

from infra.postgres.database import Tx
from infra.postgres.tables.webhooks import webhook_attempts as attempts
from infra.postgres.tables.webhooks import webhook_deliveries as deliveries
from infra.postgres.tables.webhooks import webhook_endpoints as endpoints
from infra.postgres.tables.webhooks import webhook_messages as messages


class DeliveryRow(NamedTuple):
    """One delivery with what it is about."""

    id: UUID
    endpoint_id: str
    message_id: UUID
    event_type: str
    event_source: str
    event_id: str
    state: str
    attempts: int
    due_at: datetime
    last_status: int | None
    last_error: str | None
    created_at: datetime
    finished_at: datetime | None


class AttemptRow(NamedTuple):
    """One attempt."""

    number: int
    at: datetime
    duration_ms: int
    outcome: str
    status: int | None
    error: str | None
    headers: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class Filters:
    """Which deliveries: of an endpoint, in a state, of an event or of what followed from it."""

    endpoint_id: str | None = None
    state: str | None = None
    event_id: str | None = None


_ATTEMPT = [attempts.c[name] for name in AttemptRow._fields]


async def list_deliveries(
    tx: Tx, organization: str, filters: Filters, *, before: UUID | None, limit: int
) -> Sequence[DeliveryRow]:
    """The organization's deliveries, the newest first."""
    query = _deliveries().where(deliveries.c.organization_id == organization)
    if filters.endpoint_id is not None:
        query = query.where(deliveries.c.endpoint_id == filters.endpoint_id)
    if filters.state is not None:
        query = query.where(deliveries.c.state == filters.state)
    if filters.event_id is not None:
        same = or_(messages.c.event_id == filters.event_id, messages.c.cause_id == filters.event_id)
        query = query.where(and_(messages.c.organization_id == organization, same))
    if before is not None:
        query = query.where(deliveries.c.id < before)
    found = await tx.execute(query.order_by(deliveries.c.id.desc()).limit(limit))
    return [DeliveryRow(*row) for row in found]


async def find_delivery(tx: Tx, organization: str, delivery_id: UUID) -> DeliveryRow | None:
    """The organization's delivery; None when it has none of this id."""
    query = _deliveries().where(deliveries.c.organization_id == organization, deliveries.c.id == delivery_id)
    row = (await tx.execute(query)).one_or_none()
    return DeliveryRow(*row) if row else None


async def list_attempts(tx: Tx, delivery_id: UUID) -> Sequence[AttemptRow]:
    """Every attempt of the delivery, the first one first."""
    query = select(*_ATTEMPT).where(attempts.c.delivery_id == delivery_id).order_by(attempts.c.number)
    return [AttemptRow(*row) for row in await tx.execute(query)]


async def make_due(tx: Tx, organization: str, delivery_id: UUID, now: datetime) -> str | None:
    """Has the delivery sent (again) now. Gives its endpoint; None when there is none, or it is not enabled."""
    active = select(endpoints.c.id).where(
        endpoints.c.organization_id == organization, endpoints.c.enabled, endpoints.c.deleted_at.is_(None)
    )
    statement = (
        update(deliveries)
        .where(
            deliveries.c.organization_id == organization,
            deliveries.c.id == delivery_id,
            deliveries.c.endpoint_id.in_(active),
        )
        .values(state="pending", due_at=now, finished_at=None)
        .returning(deliveries.c.endpoint_id)
    )
    endpoint: str | None = await tx.scalar(statement)
    return endpoint


def _deliveries() -> Select[Any]:
    return select(
        deliveries.c.id,
        deliveries.c.endpoint_id,
        deliveries.c.message_id,
        messages.c.type,
        messages.c.source,
        messages.c.event_id,
        deliveries.c.state,
        deliveries.c.attempts,
        deliveries.c.due_at,
        deliveries.c.last_status,
        deliveries.c.last_error,
        deliveries.c.created_at,
        deliveries.c.finished_at,
    ).join_from(deliveries, messages, messages.c.id == deliveries.c.message_id)
