"""Records as columns: one list per column, in the records' order."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any, Final, NamedTuple

from consumers.batch import Record
from contracts import json_text
from contracts.envelope import identity_hash
from contracts.events.ledger import ChargeBookedV1
from contracts.events.usage import TOKEN_CLASSES, UsageRecordedV1
from infra.clickhouse.facts import Columns, Place

_NO_PROPERTIES: Final[dict[str, str]] = {}

_WHOLE: Final = ("service", "status", *TOKEN_CLASSES)
"""Never None."""
_NOTHING: Final = {"quantity": Decimal(0)}
_TOLD: Final = (
    *_WHOLE,
    *("provider", "model", "operation", "user", "team", "api_key", "request_id", "quantity", "unit", "duration_ms"),
)
# One touch an object instead of one a column: 10,000 records do not fit the processor's cache.
_USAGE: Final = itemgetter(*_TOLD)
_ENVELOPE: Final = itemgetter("organization", "source", "id", "acceptedat")


class Fact(NamedTuple):
    """A usage record with what is worked out of it once: identity and the event's time in microseconds."""

    record: Record
    usage: UsageRecordedV1
    identity: bytes
    time_us: int


def fact_of(record: Record, usage: UsageRecordedV1) -> Fact:
    """The record as a fact."""
    envelope = record.envelope
    identity = identity_hash(envelope.organization, envelope.source, envelope.id)
    return Fact(record, usage, identity, micros(envelope.time))


def place_of(fact: Fact) -> Place:
    """Where the fact stands in the log, and its event's time."""
    return Place(fact.record.topic.name, fact.record.partition, fact.record.offset, fact.time_us)


def micros(instant: datetime) -> int:
    """Microseconds since 1970 (exact: a double holds today's seconds to a quarter of a microsecond)."""
    return round(instant.timestamp() * 1e6)


def identity_columns(found: Sequence[Fact]) -> Columns:
    """Identities and where they came first, as columns of `usage_identities`."""
    return {
        "identity": [fact.identity for fact in found],
        "event_time": [fact.time_us for fact in found],
        **_places([fact.record for fact in found]),
    }


def usage_columns(found: Sequence[Fact]) -> Columns:
    """Usage as columns of `usage_facts`; what no record tells is left out and has the column's default."""
    if not found:
        return {}
    records = [fact.record for fact in found]
    organizations, sources, ids, accepted = zip(*(_ENVELOPE(vars(record.envelope)) for record in records), strict=True)
    told = dict(zip(_TOLD, zip(*(_USAGE(vars(fact.usage)) for fact in found), strict=True), strict=True))
    columns: dict[str, Sequence[Any]] = {
        "organization_id": organizations,
        "event_time": [fact.time_us for fact in found],
        "accepted_at": [micros(instant) for instant in accepted],
        "source": sources,
        "event_id": ids,
        "duration_ms": told.pop("duration_ms"),
        "properties": [_texts(fact.usage.model_extra) for fact in found],
        **_places(records),
    }
    for name, values in told.items():
        if any(values):
            columns[name] = values if name in _WHOLE else [value or _NOTHING.get(name, "") for value in values]
    return columns


def charge_columns(records: Sequence[Record]) -> Columns:
    """Booked charges as columns of `charge_facts`."""
    envelopes = [record.envelope for record in records]
    charges = [record.data for record in records if isinstance(record.data, ChargeBookedV1)]
    return {
        "organization_id": [envelope.organization for envelope in envelopes],
        "event_time": [micros(charge.used_at) for charge in charges],
        "booked_at": [micros(envelope.time) for envelope in envelopes],
        "transaction_id": [charge.transaction_id for charge in charges],
        "source": [charge.event_source for charge in charges],
        "event_id": [charge.event_id for charge in charges],
        "amount_micros": [charge.amount_micros for charge in charges],
        "price_version": [charge.price_version for charge in charges],
        "service": [charge.service for charge in charges],
        "provider": [charge.provider or "" for charge in charges],
        "model": [charge.model or "" for charge in charges],
        "user": [charge.user or "" for charge in charges],
        "team": [charge.team or "" for charge in charges],
        "total_tokens": [charge.total_tokens for charge in charges],
        **_places(records),
    }


def _places(records: Sequence[Record]) -> dict[str, Sequence[Any]]:
    return {
        "topic": [record.topic.name for record in records],
        "partition": [record.partition for record in records],
        "offset": [record.offset for record in records],
    }


def _texts(extra: dict[str, Any] | None) -> dict[str, str]:
    """Free properties as text: text as it is, everything else as JSON."""
    if not extra:
        return _NO_PROPERTIES
    return {key: value if isinstance(value, str) else json_text.dump(value).decode() for key, value in extra.items()}
