"""Compares one stretch of one partition, record by record: Kafka = ledger inbox = ClickHouse."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from contracts import catalog
from contracts.envelope import Envelope, body_hash, hour_of
from contracts.errors import BadRecord
from contracts.events.base import EventData
from contracts.events.usage import UsageRecordedV1
from infra.clickhouse import reconciliation as analytics
from infra.clickhouse.client import ClickHouse
from infra.kafka.log import LogRecord
from infra.ops.differences import Difference, Reconciliation
from infra.postgres import reconciliation as ledger
from infra.postgres.database import Database

CREDITS_CONSUMER: Final = "aihub.credits"

Identity = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """The first record of an identity within the stretch."""

    record: LogRecord
    envelope: Envelope
    body_hash: bytes
    tokens: int

    @property
    def is_usage(self) -> bool:
        """Whether analytics must have it, too."""
        return self.envelope.type == UsageRecordedV1.TYPE


@dataclass(slots=True)
class Stretch:
    """What the log tells in one stretch; offsets in `refused` must stand among the dead letters, and those in `again`
    (identities that came before in the stretch) where they bring another body than the one that was booked."""

    topic: str
    partition: int
    start: int
    end: int
    told: dict[Identity, Told] = field(default_factory=dict)
    again: dict[int, Told] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)


def read(records: Sequence[LogRecord], start: int, end: int) -> Stretch:
    """The stretch that these records of one partition make; the first record of an identity wins."""
    stretch = Stretch(records[0].topic.name, records[0].partition, start, end)
    for record in records:
        try:
            envelope, data = catalog.decode(record.value or b"")
        except BadRecord as error:
            stretch.refused[record.offset] = error.message
            continue
        told = Told(record, envelope, body_hash(envelope.type, envelope.subject, envelope.data), _tokens(data))
        if stretch.told.setdefault(envelope.identity, told) is not told:
            stretch.again[record.offset] = told
    return stretch


def _tokens(data: EventData) -> int:
    return data.total_tokens if isinstance(data, UsageRecordedV1) else 0


async def examine(
    database: Database, clickhouse: ClickHouse, stretch: Stretch, result: Reconciliation
) -> list[tuple[Difference, LogRecord | None]]:
    """What differs in the stretch, each with the record that would mend it; adds counts and sums to `result`.

    Raises: DatabaseUnavailable, AnalyticsUnavailable.
    """
    place = (stretch.topic, stretch.partition, stretch.start, stretch.end)
    async with database.transaction() as tx:
        booked = await ledger.booked(tx, list(stretch.told))
        first_here = await ledger.booked_in_range(tx, *place)
        parked = await ledger.parked_in_range(tx, CREDITS_CONSUMER, *place)
    used = [identity for identity, told in stretch.told.items() if told.is_usage]
    times = _times(stretch, used)
    tokens = await analytics.analysed(clickhouse, used, times) if times else {}
    charged = await analytics.charged(clickhouse, used, times) if times else {}
    analysed_here = await analytics.analysed_in_range(clickhouse, *place) if times else set()

    found: list[tuple[Difference, LogRecord | None]] = [
        (Difference("unparked", f"{stretch.topic}/{stretch.partition}/{offset}", why), None)
        for offset, why in (stretch.refused | _conflicts(stretch, booked)).items()
        if offset not in parked
    ]
    for identity, told in stretch.told.items():
        found += _compare(identity, told, booked.get(identity), tokens.get(identity), charged.get(identity), parked)
        if identity in first_here or identity not in booked:
            _sum(result, told, booked.get(identity), tokens.get(identity), charged.get(identity))
    for store, extra in (
        ("ledger", first_here - stretch.told.keys()),
        ("analytics", analysed_here - stretch.told.keys()),
    ):
        found += [(_difference("not_in_kafka", identity, f"is in {store} only"), None) for identity in sorted(extra)]
    return found


def _conflicts(stretch: Stretch, booked: dict[Identity, ledger.Booked]) -> dict[int, str]:
    """Repetitions with another body than the first; the first of all may stand in an earlier stretch."""
    return {
        offset: f"{again.envelope.id} came again with another body"
        for offset, again in stretch.again.items()
        if again.body_hash != (booked.get(again.envelope.identity) or stretch.told[again.envelope.identity]).body_hash
    }


def _times(stretch: Stretch, used: Sequence[Identity]) -> analytics.Times | None:
    times = [stretch.told[identity].envelope.time for identity in used]
    return analytics.Times(min(times), max(times)) if times else None


def _compare(
    identity: Identity,
    told: Told,
    booked: ledger.Booked | None,
    tokens: int | None,
    charged: int | None,
    parked: set[int],
) -> list[tuple[Difference, LogRecord | None]]:
    if told.record.offset in parked:
        return []
    if booked is None:
        return [(_difference("missing_in_ledger", identity, "is in Kafka and not in the ledger"), told.record)]
    if booked.body_hash != told.body_hash:
        return [(_difference("unparked", identity, "came with another body and was not refused"), None)]
    found: list[tuple[Difference, LogRecord | None]] = []
    if booked.total_tokens != told.tokens:
        detail = f"has {booked.total_tokens} tokens in the ledger, {told.tokens} in Kafka"
        found.append((_difference("tokens", identity, detail), None))
    if not told.is_usage:
        return found
    if tokens is None:
        found.append((_difference("missing_in_analytics", identity, "is in Kafka and not in analytics"), told.record))
    elif tokens != told.tokens:
        detail = f"has {tokens} tokens in analytics, {told.tokens} in Kafka"
        found.append((_difference("tokens", identity, detail), None))
    if charged != booked.charged_micros:
        detail = f"was charged {booked.charged_micros} micro-credits, analytics has {charged}"
        found.append((_difference("charges", identity, detail), told.record if charged is None else None))
    return found


def _sum(
    result: Reconciliation, told: Told, booked: ledger.Booked | None, tokens: int | None, charged: int | None
) -> None:
    result.compared["kafka"] += 1
    result.compared["ledger"] += booked is not None
    if not told.is_usage:
        return
    result.compared["analytics"] += tokens is not None
    hour = result.hours[told.envelope.organization, hour_of(told.envelope.acceptedat)]
    hour.add("kafka", told.tokens)
    if booked is not None:
        hour.add("ledger", booked.total_tokens)
        hour.micros["ledger"] += booked.charged_micros or 0
    if tokens is not None:
        hour.add("analytics", tokens)
    hour.micros["analytics"] += charged or 0


def _difference(check: str, identity: Identity, detail: str) -> Difference:
    organization, source, event_id = identity
    return Difference(check, f"{source} {event_id}", detail, organization)
