"""Records as the runtime hands them to the credits handler."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from consumers.batch import Batch, Record
from contracts import catalog
from contracts.envelope import Envelope
from contracts.events.base import EventData
from contracts.events.credits import CreditsAdjustedV1, CreditsGrantedV1, CreditsRefundedV1
from contracts.events.usage import UsageRecordedV1

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ORGANIZATION = "org_1"
_offsets = itertools.count()


def record(
    data: EventData,
    event_id: str,
    *,
    organization: str = ORGANIZATION,
    source: str = "urn:test",
    accepted_at: datetime = NOON,
    time: datetime | None = None,
    offset: int | None = None,
    partition: int = 0,
) -> Record:
    """The record of an event; offsets count up by themselves."""
    envelope = Envelope(
        id=event_id,
        source=source,
        type=data.TYPE,
        organization=organization,
        time=time or accepted_at,
        acceptedat=accepted_at,
        data=data.model_dump(mode="json", exclude_none=True),
    )
    value = catalog.encode(envelope)
    place = next(_offsets) if offset is None else offset
    return Record(data.TOPIC, partition, place, organization.encode(), value, (), 0, *catalog.decode(value))


def usage(event_id: str, tokens: int = 1_000, *, model: str = "gpt-4o", service: str = "chat", **rest: Any) -> Record:
    """Usage of so many input tokens; 1,000 of gpt-4o cost 10 credits."""
    place = {key: rest.pop(key) for key in list(rest) if key not in UsageRecordedV1.model_fields}
    data = UsageRecordedV1(service=service, model=model, input_tokens=tokens, **rest)
    return record(data, event_id, **place)


def grant(event_id: str, credit: float = 100, **rest: Any) -> Record:
    """A grant of so many credits."""
    place = {key: rest.pop(key) for key in list(rest) if key not in CreditsGrantedV1.model_fields}
    return record(CreditsGrantedV1(amount_micros=int(credit * 1_000_000), **rest), event_id, **place)


def adjustment(event_id: str, credit: float, **place: Any) -> Record:
    """A correction by so many credits."""
    return record(CreditsAdjustedV1(amount_micros=int(credit * 1_000_000), reason="test"), event_id, **place)


def refund(event_id: str, credit: float, of: str | None = None, **place: Any) -> Record:
    """A refund of so many credits, of a usage event if one is named."""
    named = {"refunds_source": "urn:test", "refunds_id": of} if of else {}
    data = CreditsRefundedV1(amount_micros=int(credit * 1_000_000), reason="test", **named)
    return record(data, event_id, **place)


def later(seconds: float) -> datetime:
    """An instant after `NOON`."""
    return NOON + timedelta(seconds=seconds)


def batch(*records: Record) -> Batch:
    """A batch of these records."""
    return Batch(records)
