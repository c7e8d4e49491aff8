"""Dead letters from Kafka to PostgreSQL; every record is stored, whatever it looks like."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from consumers.batch import Batch
from consumers.parking import MAX_MESSAGE, ORIGINAL
from contracts import json_text
from contracts.errors import Malformed
from infra.ids import new_uuid
from infra.kafka.log import LogRecord
from infra.postgres import trails
from infra.postgres.database import Database
from infra.postgres.trails import DeadLetter
from infra.telemetry import metrics

NOT_OURS: Final = "unreadable_dead_letter"
UNKNOWN: Final = "unknown"
_MAX_TEXT: Final = 255


class Store:
    """Handles batches for `consumers.runtime`; the same batch again stores nothing new."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, batch: Batch[LogRecord]) -> None:
        """One transaction a batch, committed before it returns."""
        async with self._database.transaction() as tx:
            await trails.add_dead_letters(tx, [dead_letter_of(record) for record in batch.records])
        await export_counts(self._database)


async def export_counts(database: Database) -> None:
    """Sets the gauge of dead letters that wait for a decision."""
    async with database.transaction() as tx:
        counts = await trails.count_parked(tx)
    metrics.DEAD_LETTERS.clear()
    for (consumer, reason), count in counts.items():
        metrics.DEAD_LETTERS.labels(consumer, reason).set(count)


def dead_letter_of(record: LogRecord) -> DeadLetter:
    """What the record says; one that no consumer of ours wrote is stored under its own place in this topic."""
    headers = {name: value.decode(errors="replace") for name, value in record.headers if value is not None}
    event = _event(record.value)
    place = _place(headers)
    topic, partition, offset = place or (record.topic.name, record.partition, record.offset)
    return DeadLetter(
        id=new_uuid(),
        consumer=_text(headers["consumer"]) if place else UNKNOWN,
        topic=topic,
        partition=partition,
        offset=offset,
        organization=event.get("organization") or _key(record.key),
        event_source=event.get("source"),
        event_id=event.get("id"),
        event_type=event.get("type"),
        reason=_text(headers["reason"]) if place else NOT_OURS,
        message=_text(headers.get("message", ""), MAX_MESSAGE) if place else "No consumer of this hub wrote this.",
        key=record.key,
        value=record.value,
        headers=_original(record, whole=place is None),
        parked_at=_instant(headers.get("parked-at")) or datetime.fromtimestamp(record.timestamp_ms / 1000, UTC),
    )


def _place(headers: Mapping[str, str]) -> tuple[str, int, int] | None:
    """Topic, partition and offset that the record had, when all of a dead letter's headers are there."""
    try:
        place = _text(headers["topic"]), int(headers["partition"]), int(headers["offset"])
        known = bool(headers["consumer"] and headers["reason"])
    except (KeyError, ValueError):
        return None
    return place if known and 0 <= place[1] < 2**31 and 0 <= place[2] < 2**63 else None


def _original(record: LogRecord, *, whole: bool) -> tuple[tuple[str, bytes], ...]:
    kept = [(name, value or b"") for name, value in record.headers]
    if whole:
        return tuple(kept)
    return tuple((name.removeprefix(ORIGINAL), value) for name, value in kept if name.startswith(ORIGINAL))


def _event(value: bytes | None) -> dict[str, str]:
    """The attributes that say which event it is, as far as the value can be read at all."""
    try:
        found = json_text.parse(value or b"")
    except Malformed:
        return {}
    if not isinstance(found, dict):
        return {}
    names = ("organization", "source", "id", "type")
    return {name: _text(found[name]) for name in names if isinstance(found.get(name), str)}


def _key(key: bytes | None) -> str | None:
    return _text(key.decode(errors="replace")) if key else None


def _instant(text: str | None) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return instant if instant.tzinfo else None


def _text(text: str, limit: int = _MAX_TEXT) -> str:
    """What PostgreSQL can hold: no NUL, no lone surrogate, not too long."""
    return text.replace("\0", "").encode(errors="replace").decode()[:limit]
