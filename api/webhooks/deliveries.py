"""What can be delivered, and deliveries: read, sent again by making them due, made for a test."""

import json
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from api.core.paging import Page, Pagination
from api.core.principal import Principal
from api.deps import Deps
from api.webhooks.schemas import AttemptOut, DeliveryOut, DeliveryWithAttempts, EventTypeOut, SentOut
from api.webhooks.service import found
from contracts.errors import Conflict, Invalid, NotFound
from contracts.events.base import SYSTEM_SOURCE
from contracts.rules import webhooks
from infra.ids import new_id, new_uuid
from infra.postgres import webhooks_endpoints as store
from infra.postgres import webhooks_listing as listing
from infra.postgres.webhooks_fanout import NewMessage, insert_messages
from infra.postgres.webhooks_listing import DeliveryRow, Filters

TEST_SOURCE: Final = SYSTEM_SOURCE + "/webhooks/test"
_EXAMPLE_TIME: Final = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)


def event_types() -> list[EventTypeOut]:
    """Everything that can be subscribed to."""
    return [
        EventTypeOut(
            name=known.name,
            description=known.summary,
            json_schema=known.data.model_json_schema(mode="serialization"),
            example=json.loads(webhooks.sample(known, "org_019ab0c2", "evt_019ab0c2", "urn:example", _EXAMPLE_TIME)),
        )
        for known in webhooks.EVENT_TYPES
    ]


async def send_test(deps: Deps, who: Principal, endpoint_id: str, event_type: str) -> SentOut:
    """A test delivery with the type's example, whatever the endpoint is subscribed to. Raises: NotFound, Conflict."""
    known = webhooks.BY_NAME.get(event_type)
    if known is None:
        raise Invalid("There is no such event type.", problems=webhooks.unknown_patterns([event_type], "/event_type"))
    now, event_id, message_id, delivery_id = deps.clock.now(), new_id("evt"), new_uuid(), new_uuid()
    text = webhooks.sample(known, who.organization_id, event_id, TEST_SOURCE, now)
    message = NewMessage(
        id=message_id,
        organization=who.organization_id,
        event_id=event_id,
        source=TEST_SOURCE,
        type=event_type,
        payload=text,
        cause_source=None,
        cause_id=None,
        traceparent=None,
        deliveries=((delivery_id, endpoint_id),),
    )
    async with deps.database.transaction() as tx:
        if not found(await store.find_endpoint(tx, who.organization_id, endpoint_id)).enabled:
            raise Conflict("The endpoint is disabled; enable it first.")
        await insert_messages(tx, [message], now)
    return SentOut(delivery_id=f"whd_{delivery_id.hex}", message_id=f"msg_{message_id.hex}")


async def list_deliveries(
    deps: Deps, who: Principal, filters: Filters, page: Page
) -> tuple[list[DeliveryOut], Pagination]:
    """The organization's deliveries, the newest first."""
    before = None if page.after is None else UUID(page.after[0])
    async with deps.database.transaction() as tx:
        rows = await listing.list_deliveries(tx, who.organization_id, filters, before=before, limit=page.fetch)
    shown, pagination = page.cut(rows, lambda row: (row.id.hex,))
    return [DeliveryOut(**_delivery(row)) for row in shown], pagination


async def read_delivery(deps: Deps, who: Principal, delivery_id: str) -> DeliveryWithAttempts:
    """The delivery and its attempts. Raises: NotFound."""
    async with deps.database.transaction() as tx:
        row = await listing.find_delivery(tx, who.organization_id, _uuid(delivery_id))
        if row is None:
            raise _no_delivery()
        attempts = await listing.list_attempts(tx, row.id)
    log = [AttemptOut(**attempt._asdict()) for attempt in attempts]
    return DeliveryWithAttempts(**_delivery(row), attempts_log=log)


async def retry_delivery(deps: Deps, who: Principal, delivery_id: str) -> DeliveryOut:
    """The delivery, due now, whatever became of it before. Raises: NotFound, Conflict (endpoint disabled or gone)."""
    async with deps.database.transaction() as tx:
        row = await listing.find_delivery(tx, who.organization_id, _uuid(delivery_id))
        if row is None:
            raise _no_delivery()
        endpoint = await listing.make_due(tx, who.organization_id, row.id, deps.clock.now())
        if endpoint is None:
            raise Conflict("Its endpoint is disabled or deleted; enable it first.")
        await store.wake(tx, endpoint)
    return DeliveryOut(**_delivery(row._replace(state="pending", due_at=deps.clock.now(), finished_at=None)))


def _delivery(row: DeliveryRow) -> dict[str, Any]:
    same = ("endpoint_id", "event_type", "state", "attempts", "last_status", "last_error", "created_at", "finished_at")
    return {
        "id": f"whd_{row.id.hex}",
        "message_id": f"msg_{row.message_id.hex}",
        "event": {"source": row.event_source, "id": row.event_id},
        "next_attempt_at": row.due_at if row.state == "pending" else None,
        **{name: getattr(row, name) for name in same},
    }


def _uuid(delivery_id: str) -> UUID:
    try:
        return UUID(delivery_id.removeprefix("whd_"))
    except ValueError:
        raise _no_delivery() from None


def _no_delivery() -> NotFound:
    return NotFound("This organization has no such delivery.")
