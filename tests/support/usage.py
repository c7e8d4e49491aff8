"""Usage records and charges as a consumer reads them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from consumers.batch import Batch, Record
from contracts import catalog, topics
from contracts.envelope import Envelope
from contracts.events.ledger import ChargeBookedV1
from contracts.events.usage import UsageRecordedV1
from infra.kafka.log import LogRecord

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SOURCE = "urn:test"


def usage(
    event_id: str,
    offset: int,
    *,
    partition: int = 0,
    organization: str = "org_a",
    source: str = SOURCE,
    time: datetime | None = None,
    **data: Any,
) -> Record:
    """A usage record; by default an event a second after noon, 10 input tokens."""
    body = {"service": "chat", "model": "m1", "input_tokens": 10, **data}
    return _record(topics.USAGE, UsageRecordedV1.TYPE, event_id, offset, partition, organization, source, time, body)


def charge(usage_record: Record, offset: int, amount_micros: int, *, partition: int = 0) -> Record:
    """What the ledger states of the usage record."""
    envelope, data = usage_record.envelope, usage_record.data
    assert isinstance(data, UsageRecordedV1)
    body = {
        **ChargeBookedV1.EXAMPLE,
        "transaction_id": f"txn_{envelope.source}_{envelope.id}",
        "event_source": envelope.source,
        "event_id": envelope.id,
        "used_at": envelope.time,
        "amount_micros": amount_micros,
        **{name: getattr(data, name) for name in ("service", "provider", "model", "user", "team", "total_tokens")},
    }
    return _record(
        topics.LEDGER,
        ChargeBookedV1.TYPE,
        f"chg_{envelope.id}",
        offset,
        partition,
        envelope.organization,
        "/hub/ledger",
        None,
        body,
    )


def batch(*records: Record) -> Batch[LogRecord]:
    """The records as one batch, undecoded."""
    return Batch([LogRecord(*record[:7]) for record in records])


def _record(
    topic: topics.Topic,
    event_type: str,
    event_id: str,
    offset: int,
    partition: int,
    organization: str,
    source: str,
    time: datetime | None,
    body: dict[str, Any],
) -> Record:
    data = catalog.check(event_type, body)
    envelope = Envelope(
        id=event_id,
        source=source,
        type=event_type,
        organization=organization,
        time=time or NOON + timedelta(seconds=offset),
        acceptedat=NOON + timedelta(seconds=offset),
        data=data.model_dump(mode="json", exclude_none=True),
    )
    return Record(topic, partition, offset, organization.encode(), catalog.encode(envelope), (), 0, envelope, data)
