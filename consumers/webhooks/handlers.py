"""Fan-out: a batch of facts becomes messages and delivery rows, in one transaction. It does no HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass

from consumers.batch import Batch, Record
from contracts.rules.webhooks import matches, payload, public_name
from infra.clock import Clock
from infra.ids import new_uuid
from infra.postgres.database import Database
from infra.postgres.webhooks_fanout import NewMessage, Subscription, insert_messages, subscriptions


@dataclass(frozen=True, slots=True)
class FanOut:
    """Handles batches for `consumers.runtime`: the same batch again, or a replay, creates nothing new."""

    database: Database
    clock: Clock

    async def __call__(self, batch: Batch) -> None:
        """Writes the batch. Raises: DatabaseUnavailable."""
        told = [(record, name) for record in batch.records if (name := public_name(record.envelope.type, record.data))]
        if not told:
            return
        organizations = sorted({record.envelope.organization for record, _ in told})
        async with self.database.transaction() as tx:
            subscribed = await subscriptions(tx, organizations)
            messages = plan(told, subscribed)
            if messages:
                await insert_messages(tx, messages, self.clock.now())


def plan(told: Sequence[tuple[Record, str]], subscribed: dict[str, list[Subscription]]) -> list[NewMessage]:
    """The messages that somebody subscribed to. One whose endpoints are all disabled is kept, without deliveries."""
    messages = []
    for record, name in told:
        wanted = [
            subscription
            for subscription in subscribed.get(record.envelope.organization, ())
            if subscription.since <= record.envelope.acceptedat and matches(subscription.patterns, name)
        ]
        if wanted:
            messages.append(_message(record, name, [wants.endpoint_id for wants in wanted if wants.enabled]))
    return messages


def _message(record: Record, name: str, endpoint_ids: list[str]) -> NewMessage:
    envelope = record.envelope
    return NewMessage(
        id=new_uuid(),
        organization=envelope.organization,
        event_id=envelope.id,
        source=envelope.source,
        type=name,
        payload=payload(name, envelope, record.data),
        cause_source=envelope.causesource,
        cause_id=envelope.causeid,
        traceparent=_traceparent(record),
        deliveries=tuple((new_uuid(), endpoint_id) for endpoint_id in endpoint_ids),
    )


def _traceparent(record: Record) -> str | None:
    value = dict(record.headers).get("traceparent")
    return value.decode("ascii", "replace") if value else None
