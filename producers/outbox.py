"""The outbox: events of a transaction reach Kafka if and only if it commits."""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

import structlog

from contracts import topics
from contracts.errors import Unavailable
from contracts.topics import Topic
from infra.kafka.producer import Producer
from infra.postgres import outbox as rows
from infra.postgres.database import Database, Tx
from infra.postgres.outbox import NewRow, OutboxRow
from infra.telemetry import metrics, tracing
from infra.telemetry.progress import Progress, progress_of
from producers.publisher import record_headers

NAME: Final = "aihub.relay"
ROUND_ROWS: Final = 500
ROUND_BYTES: Final = 8 * 1024 * 1024
POLL_S: Final = 1.0
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0

_log = structlog.get_logger(__name__)


async def save(tx: Tx, topic: Topic, organization: str, values: Sequence[bytes]) -> None:
    """States events (as `catalog.encode` writes them) beside the caller's rows; they leave after the commit, in order.

    Order holds among transactions of one organization that take turns, say by locking its balance.
    """
    if values:
        await rows.add(tx, NewRow(topic.name, organization, list(values), tracing.current_traceparent()))


async def save_many(tx: Tx, topic: Topic, stated: Iterable[tuple[str, Sequence[bytes]]]) -> None:
    """The same for several organizations by one COPY: pairs of organization and values."""
    traceparent = tracing.current_traceparent()
    if new := [NewRow(topic.name, organization, list(values), traceparent) for organization, values in stated]:
        await rows.add_many(tx, new)


async def relay(
    database: Database, producer: Producer, *, stop: asyncio.Event, batch: int = ROUND_ROWS, poll_s: float = POLL_S
) -> None:
    """Ships what is saved until `stop` is set; a row goes when Kafka has acknowledged it.

    One relay works at a time, others stand by and take over within `poll_s` of its end. It may die anywhere: what
    was acknowledged and not yet removed is shipped again with the same event ids. Waits while Kafka or PostgreSQL
    is away.
    """
    progress, pauses = progress_of(NAME), 0
    wake = asyncio.Event()
    while not stop.is_set():
        try:
            async with rows.leadership(database, wake.set) as leadership:
                while not stop.is_set():
                    wake.clear()
                    leading = await leadership.held()
                    shipped = await _round(database, producer, batch, progress) if leading else 0
                    pauses = 0
                    if not shipped:
                        progress.lag({("outbox", 0): 0}, 0.0)
                        await _until(stop, wake, poll_s)
        except Unavailable as error:
            if not pauses:
                _log.warning("outbox.waits", reason=error.message)
            progress.waiting(error.message)
            await _until(stop, None, min(FIRST_PAUSE_S * 2 ** min(pauses, 10), LONGEST_PAUSE_S))
            pauses += 1
        except BaseException as error:
            progress.stopped(repr(error))
            raise


async def _round(database: Database, producer: Producer, batch: int, progress: Progress) -> int:
    """Ships the oldest rows; how many events it shipped. Rows of organizations that failed stay, and it raises."""
    async with database.transaction() as tx:
        found = await rows.oldest(tx, rows=batch, size_bytes=ROUND_BYTES)
        waiting = len(found) if len(found) < batch else (await rows.pending(tx))[0]
    metrics.OUTBOX_PENDING.set(waiting)
    if not found:
        return 0
    groups: dict[tuple[str, str], list[OutboxRow]] = {}
    for row in found:
        groups.setdefault((row.topic, row.organization), []).append(row)
    ends = await asyncio.gather(*(_ship(producer, group) for group in groups.values()), return_exceptions=True)
    shipped = [row for group, end in zip(groups.values(), ends, strict=True) if end is None for row in group]
    if shipped:
        async with database.transaction() as tx:
            await rows.remove(tx, [row.id for row in shipped])
    events = sum(len(row.payloads) for row in shipped)
    metrics.OUTBOX_SHIPPED.inc(events)
    metrics.OUTBOX_PENDING.set(waiting - len(shipped))
    if failed := [end for end in ends if end is not None]:
        raise next((error for error in failed if not isinstance(error, Unavailable)), failed[0])
    progress.records(events, None)
    return events


async def _ship(producer: Producer, group: Sequence[OutboxRow]) -> None:
    """One organization's rows for one topic, in order, one record batch a trace."""
    topic, organization = topics.BY_NAME[group[0].topic], group[0].organization
    for traceparent, traced in groupby(group, key=lambda row: row.traceparent):
        values = [payload for row in traced for payload in row.payloads]
        await producer.send(topic, organization, values, record_headers(traceparent))


async def _until(stop: asyncio.Event, wake: asyncio.Event | None, limit_s: float) -> None:
    """Returns at a stop, at a wake-up, or when the time is over."""
    waits = [asyncio.create_task(event.wait()) for event in (stop, wake) if event is not None]
    try:
        await asyncio.wait(waits, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waits:
            task.cancel()
