"""`GET /v1/events/{id}`: how far an event has come, gathered from every store that may know it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from api.deps import Deps
from api.events.schemas import Accepted, Audited, Charged, DeadLetterNote, DeliveryNote, Journey, Priced, Step
from contracts import topics
from contracts.errors import AnalyticsUnavailable, BrokerUnavailable, Conflict, NotFound, Problem
from contracts.topics import Topic
from infra.clickhouse.journeys import analysed_at
from infra.kafka.log import LogRecord
from infra.postgres import journeys, ledger_reads, trails
from infra.postgres.ledger_reads import Entry

FIND_TIMEOUT_S: Final = 3.0
AUDIT_GROUP: Final = "aihub.audit"
_PENDING: Final = "pending"


class _Known(NamedTuple):
    """What PostgreSQL has under an id."""

    entries: Sequence[Entry]
    audited: Sequence[journeys.Audited]
    letters: Sequence[trails.DeadLetter]
    read: dict[tuple[str, int], ledger_reads.Read]


async def journey(deps: Deps, organization: str, event_id: str, source: str | None) -> Journey:
    """The journey. Without `source` the id must be of one source only.

    Raises: NotFound, Conflict (several sources have this id), DatabaseUnavailable.
    """
    known = await _known(deps, organization, event_id, source)
    sources = {entry.source for entry in known.entries} | {row.source for row in known.audited}
    sources |= {letter.event_source for letter in known.letters if letter.event_source is not None}
    if len(sources) > 1:
        problem = Problem("/query/source", "ambiguous", f"one of {', '.join(sorted(sources))}")
        raise Conflict("Several sources have sent this id; say which with ?source=.", problems=(problem,))
    if not sources:
        return await _from_the_tail(deps, organization, event_id, source, known)
    return await _assemble(deps, organization, event_id, sources.pop(), known)


async def _known(deps: Deps, organization: str, event_id: str, source: str | None) -> _Known:
    async with deps.database.transaction() as tx:
        wanted = trails.Filter(organization=organization, event_id=event_id)
        letters = await trails.list_dead_letters(tx, wanted, limit=20)
        return _Known(
            await ledger_reads.entries_of(tx, organization, event_id, source),
            await journeys.audited(tx, organization, event_id, source),
            [letter for letter in letters if source in (None, letter.event_source)],
            await ledger_reads.progress(tx),
        )


async def _assemble(deps: Deps, organization: str, event_id: str, source: str, known: _Known) -> Journey:
    async with deps.database.transaction() as tx:
        deliveries = await journeys.deliveries(tx, organization, event_id, source)
    entry = known.entries[0] if known.entries else None
    found = Journey(
        id=event_id,
        source=source,
        organization=organization,
        state="in_progress",
        accepted=_accepted(entry, known),
        priced=_priced(entry),
        charged=_charged(entry),
        analysed=await _analysed(deps, organization, source, event_id, entry),
        audited=_audited(known.audited),
        deliveries=[_delivery(row) for row in deliveries],
        dead_letters=[_letter(letter) for letter in known.letters],
    )
    return found.model_copy(update={"state": _state(found)})


def _accepted(entry: Entry | None, known: _Known) -> Accepted:
    if entry is not None:
        return Accepted(
            state="done", at=entry.accepted_at, topic=entry.topic, partition=entry.partition, offset=entry.offset
        )
    if known.audited:
        return Accepted(state="done", at=known.audited[0].accepted_at, topic=topics.AUTH.name)
    letter = known.letters[-1]
    return Accepted(state="done", topic=letter.topic, partition=letter.partition, offset=letter.offset)


def _priced(entry: Entry | None) -> Priced:
    booked = entry.transaction if entry else None
    if booked is None or booked.price_version is None:
        return Priced(state="not_applicable" if booked else _PENDING)
    lines = booked.detail.get("lines", [])
    return Priced(
        state="done",
        at=booked.booked_at,
        price_version=booked.price_version,
        amount_micros=booked.amount_micros,
        lines=lines,
    )


def _charged(entry: Entry | None) -> Charged:
    booked = entry.transaction if entry else None
    if booked is None:
        return Charged(state=_PENDING)
    return Charged(
        state="done",
        at=booked.booked_at,
        transaction_id=f"txn_{booked.id.hex}",
        kind=booked.kind,
        amount_micros=booked.amount_micros,
        available_after_micros=booked.available_after_micros,
    )


async def _analysed(deps: Deps, organization: str, source: str, event_id: str, entry: Entry | None) -> Step:
    if entry is not None and entry.family != "usage":
        return Step(state="not_applicable")
    try:
        at = await analysed_at(deps.clickhouse, organization, source, event_id)
    except AnalyticsUnavailable:
        return Step(state="unknown")
    return Step(state=_PENDING) if at is None else Step(state="done", at=at)


def _audited(rows: Sequence[journeys.Audited]) -> Audited:
    if not rows:
        return Audited(state="not_applicable")
    return Audited(state="done", at=rows[0].accepted_at, seq=rows[0].seq)


def _delivery(row: journeys.Delivery) -> DeliveryNote:
    return DeliveryNote(**(row._asdict() | {"id": f"whd_{row.id.hex}"}))


def _letter(letter: trails.DeadLetter) -> DeadLetterNote:
    return DeadLetterNote(
        id=f"dl_{letter.id.hex}",
        consumer=letter.consumer,
        reason=letter.reason,
        message=letter.message,
        state=letter.state,
        parked_at=letter.parked_at,
    )


def _state(found: Journey) -> str:
    """One word for it: dead_lettered wins while a letter is parked and nothing was booked."""
    booked = found.charged.state == "done" or found.audited.state == "done"
    if not booked and any(letter.state == "parked" for letter in found.dead_letters):
        return "dead_lettered"
    if not booked or (found.analysed.state == _PENDING and found.audited.state != "done"):
        return "in_progress"
    if any(delivery.state == _PENDING for delivery in found.deliveries):
        return "in_progress"
    return "unknown" if found.analysed.state == "unknown" else "done"


async def _from_the_tail(deps: Deps, organization: str, event_id: str, source: str | None, known: _Known) -> Journey:
    """The event as it stands in the log where no consumer has come yet. Raises: NotFound."""
    for topic in (topics.USAGE, topics.CREDITS, topics.AUTH):
        record = await _find(deps, topic, organization, event_id, source, known)
        if record is not None:
            return _only_accepted(record, organization)
    raise NotFound("No event with this id is known; with another source than you sent, say ?source=.")


async def _find(
    deps: Deps, topic: Topic, organization: str, event_id: str, source: str | None, known: _Known
) -> LogRecord | None:
    def match(record: LogRecord) -> bool:
        event = _event(record)
        return event.get("id") == event_id and source in (None, event.get("source"))

    reader = deps.log_reader
    try:
        await reader.partitions(topic)
        partition = reader.partition_of(organization, topic)
        if topic is topics.AUTH:
            start = await reader.committed(AUDIT_GROUP, topic, partition) or 0
        else:
            read = known.read.get((topic.name, partition))
            start = read.next_offset if read else 0
        found = await reader.find(topic, organization, start, match, limit=1, timeout=FIND_TIMEOUT_S)
    except BrokerUnavailable:
        return None
    return found[0] if found else None


def _event(record: LogRecord) -> dict[str, Any]:
    try:
        event = orjson.loads(record.value or b"null")
    except orjson.JSONDecodeError:
        return {}
    return event if isinstance(event, dict) else {}


def _only_accepted(record: LogRecord, organization: str) -> Journey:
    event = _event(record)
    money, usage = record.topic is not topics.AUTH, record.topic is topics.USAGE
    return Journey(
        id=event["id"],
        source=event["source"],
        organization=organization,
        state="accepted",
        accepted=Accepted(
            state="done",
            at=datetime.fromisoformat(event["acceptedat"]),
            topic=record.topic.name,
            partition=record.partition,
            offset=record.offset,
        ),
        priced=Priced(state=_PENDING if usage else "not_applicable"),
        charged=Charged(state=_PENDING if money else "not_applicable"),
        analysed=Step(state=_PENDING if usage else "not_applicable"),
        audited=Audited(state="not_applicable" if money else _PENDING),
        deliveries=[],
        dead_letters=[],
    )
