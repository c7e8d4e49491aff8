"""What PostgreSQL knows of one event beside the ledger: deliveries and the audit trail."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import and_, or_, select

from infra.postgres.database import Tx
from infra.postgres.tables.trails import audit_trail
from infra.postgres.tables.webhooks import webhook_deliveries, webhook_messages


class Delivery(NamedTuple):
    """One delivery of the event, or of what followed from it, to one endpoint."""

    id: UUID
    endpoint_id: str
    type: str
    state: str
    attempts: int
    last_status: int | None
    due_at: datetime
    finished_at: datetime | None


class Audited(NamedTuple):
    """The event's place in the audit trail."""

    source: str
    seq: int
    accepted_at: datetime


async def deliveries(tx: Tx, organization_id: str, event_id: str, source: str) -> Sequence[Delivery]:
    """Deliveries of the event and of what followed from it (at most 100)."""
    message, delivery = webhook_messages.c, webhook_deliveries.c
    itself = and_(message.event_id == event_id, message.source == source)
    followed = and_(message.cause_id == event_id, message.cause_source == source)
    query = (
        select(
            delivery.id, delivery.endpoint_id, message.type, delivery.state,
            delivery.attempts, delivery.last_status, delivery.due_at, delivery.finished_at,
        )
        .join_from(webhook_messages, webhook_deliveries, delivery.message_id == message.id)
        .where(message.organization_id == organization_id, or_(itself, followed))
        .order_by(delivery.id)
        .limit(100)
    )  # fmt: skip
    return [Delivery(*row) for row in await tx.execute(query)]


async def audited(tx: Tx, organization_id: str, event_id: str, source: str | None) -> Sequence[Audited]:
    """The audit trail's rows of events with this id, of one source or of all (at most 10)."""
    table = audit_trail.c
    query = select(table.event_source, table.seq, table.accepted_at).where(
        table.organization_id == organization_id, table.event_id == event_id
    )
    if source is not None:
        query = query.where(table.event_source == source)
    return [Audited(*row) for row in await tx.execute(query.limit(10))]
