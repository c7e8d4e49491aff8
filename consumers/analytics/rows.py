"""Records as columns: usage as an Arrow table, nulls where a record tells nothing; charges as lists."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from consumers.batch import Record
from contracts import json_text
from contracts.events.ledger import ChargeBookedV1
from contracts.events.usage import TOKEN_CLASSES, UsageRecordedV1
from infra.clickhouse.facts import USAGE, Columns, Place
from infra.kafka.log import LogRecord

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ATTRIBUTES: Final = {"organization_id": "organization", "source": "source", "event_id": "id"}
_INSTANTS: Final = {"event_time": "time", "accepted_at": "acceptedat"}
_TOLD: Final = (
    *("service", "provider", "model", "operation", *TOKEN_CLASSES, "quantity", "unit", "user", "team", "api_key"),
    *("request_id", "duration_ms", "status"),
)
_PLACE: Final = ("topic", "partition", "offset")
_IDENTITY: Final = ("organization_id", "source", "event_id")


def micros(instant: datetime) -> int:
    """Microseconds since 1970, exact (a double of the seconds would not be, from 2106 on)."""
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def usage_of_plain(plain: pa.Table, records: Sequence[LogRecord]) -> pa.Table:
    """What `consumers.analytics.plain` read of the records, as columns of `usage_facts`."""
    names = {**_ATTRIBUTES, **_INSTANTS, **{name: name for name in (*_TOLD, "properties")}}
    columns = {name: plain.column(told).cast(USAGE.field(name).type) for name, told in names.items()}
    return _table(columns, records)


def usage_of_records(records: Sequence[Record]) -> pa.Table:
    """Usage records as columns of `usage_facts`."""
    envelopes = [vars(record.envelope) for record in records]
    usage = [record.data for record in records if isinstance(record.data, UsageRecordedV1)]
    told = [itemgetter(*_TOLD)(vars(one)) for one in usage]
    columns: dict[str, Sequence[Any]] = {
        **{name: [envelope[told] for envelope in envelopes] for name, told in _ATTRIBUTES.items()},
        **{name: [micros(envelope[told]) for envelope in envelopes] for name, told in _INSTANTS.items()},
        **dict(zip(_TOLD, zip(*told, strict=True), strict=True)),
        "properties": [_texts(one.model_extra) for one in usage],
    }
    return _table({name: pa.array(values, USAGE.field(name).type) for name, values in columns.items()}, records)


def identities(usage: pa.Table) -> list[bytes]:
    """The identity of every row: `contracts.envelope.identity_hash` of organization, source and id."""
    organization, source, event_id = (usage.column(name) for name in _IDENTITY)
    sizes = [pc.cast(pc.utf8_length(column), pa.string()) for column in (organization, source)]
    texts = pc.binary_join_element_wise(sizes[0], ":", organization, sizes[1], ":", source, event_id, "")
    blake2b = hashlib.blake2b
    return [blake2b(text, digest_size=16).digest() for text in pc.cast(texts, pa.binary()).to_pylist()]


def identity_table(found: Sequence[bytes], usage: pa.Table) -> pa.Table:
    """The identities of the rows and where they came first, as columns of `usage_identities`."""
    kept = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(found), [None, pa.py_buffer(b"".join(found))])
    return pa.table({"identity": kept, **{name: usage.column(name) for name in ("event_time", *_PLACE)}})


def place_of(usage: pa.Table, row: int) -> Place:
    """Where the row's record stands in the log, and its event's time."""
    topic, partition, offset, instant = (usage.column(name)[row] for name in (*_PLACE, "event_time"))
    return Place(topic.as_py(), partition.as_py(), offset.as_py(), instant.value)


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


def _table(columns: dict[str, Any], records: Sequence[LogRecord | Record]) -> pa.Table:
    places = {name: pa.array(values, USAGE.field(name).type) for name, values in _places(records).items()}
    return pa.table(columns | places)


def _places(records: Sequence[LogRecord | Record]) -> dict[str, Sequence[Any]]:
    return {
        "topic": [record.topic.name for record in records],
        "partition": [record.partition for record in records],
        "offset": [record.offset for record in records],
    }


def _texts(extra: dict[str, Any] | None) -> list[tuple[str, str]] | None:
    """Free properties as text: text as it is, everything else as JSON."""
    if not extra:
        return None
    return [(key, value if isinstance(value, str) else json_text.dump(value).decode()) for key, value in extra.items()]
