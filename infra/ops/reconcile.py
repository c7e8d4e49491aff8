"""Do the books balance? Kafka = ledger = ClickHouse by id and by hour, and the ledger's own laws."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from contracts import catalog, topics
from contracts.errors import BadRecord
from contracts.events.ledger import ChargeBookedV1
from contracts.topics import Topic
from infra.clickhouse import reconciliation as analytics
from infra.clickhouse.client import ClickHouse
from infra.clock import Clock
from infra.kafka.log import LogReader, LogRecord
from infra.kafka.producer import Producer
from infra.ops.differences import Difference, Reconciliation
from infra.ops.examine import CREDITS_CONSUMER, Stretch, examine, read
from infra.ops.laws import broken_laws
from infra.postgres import reconciliation as ledger
from infra.postgres.database import Database
from infra.telemetry import metrics

ANALYTICS_CONSUMER: Final = "aihub.analytics"
CHUNK: Final = 2_000
SETTLE_S: Final = 10.0
"""How long what a later consumer has still to write (charges, dead letters) may take before it counts as lost."""

GROUPS: Final[dict[Topic, tuple[str, ...]]] = {
    topics.USAGE: (CREDITS_CONSUMER, ANALYTICS_CONSUMER),
    topics.CREDITS: (CREDITS_CONSUMER,),
}
CHECKS: Final = (
    "missing_in_ledger",
    "missing_in_analytics",
    "tokens",
    "charges",
    "not_in_kafka",
    "unparked",
    "ledger_law",
)

Found = list[tuple[Difference, LogRecord | None]]


class Suspect(NamedTuple):
    """A stretch in which something differed; it is read again from the log: of these there may be many at a time."""

    topic: Topic
    partition: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ReconcileDeps:
    """What reconcile reads, and (to repair) writes."""

    database: Database
    clickhouse: ClickHouse
    log_reader: LogReader
    producer: Producer
    clock: Clock


async def reconcile(deps: ReconcileDeps, *, since_marks: bool = False, repair: bool = False) -> Reconciliation:
    """The verdict over everything that all consumers have committed; what lies beyond is counted as pending.

    `since_marks` only reads what came after the last clean run (the sweeper's way), of the log and of the ledger.
    `repair` re-drives what is missing: run it again afterwards to see that it arrived.
    Raises: Unavailable.
    """
    result = Reconciliation()
    suspects: list[Suspect] = []
    async for topic, stretch in _stretches(deps, since_marks, result):
        if await examine(deps.database, deps.clickhouse, stretch, result):
            suspects.append(Suspect(topic, stretch.partition, stretch.start, stretch.end))
    found = await _settle(deps, suspects)
    laws = await broken_laws(deps.database, deps.clock.now() if since_marks else None)
    result.differences = [difference for difference, _record in found] + laws
    if repair:
        result.repaired = await _repair(deps, found)
    await _export(deps, result)
    return result


async def _stretches(
    deps: ReconcileDeps, since_marks: bool, result: Reconciliation
) -> AsyncIterator[tuple[Topic, Stretch]]:
    async with deps.database.transaction() as tx:
        marks = await ledger.marks(tx) if since_marks else {}
    for topic, groups in GROUPS.items():
        committed = [await deps.log_reader.committed_offsets(group) for group in groups]
        first, ends = await deps.log_reader.first_offsets(topic), await deps.log_reader.end_offsets(topic)
        for partition, end in ends.items():
            done = min(offsets.get((topic.name, partition), 0) for offsets in committed)
            result.pending += max(0, end - max(done, first[partition]))
            start = max(first[partition], marks.get((topic.name, partition), 0))
            async for stretch in _read(deps, topic, partition, start, done):
                yield topic, stretch
            result.marks[topic.name, partition] = done


async def _read(deps: ReconcileDeps, topic: Topic, partition: int, start: int, end: int) -> AsyncIterator[Stretch]:
    chunk: list[LogRecord] = []
    async with contextlib.aclosing(deps.log_reader.scan(topic, partition, start, end)) as records:
        async for record in records:
            chunk.append(record)
            if len(chunk) == CHUNK:
                yield read(chunk, start, record.offset + 1)
                start, chunk = record.offset + 1, []
    if chunk:
        yield read(chunk, start, end)


async def _settle(deps: ReconcileDeps, suspects: list[Suspect]) -> Found:
    """Looks again at the stretches in which something differed, until nothing does or the time is over."""
    deadline = asyncio.get_running_loop().time() + SETTLE_S
    while True:
        looked = [(suspect, await _look_again(deps, suspect)) for suspect in suspects]
        suspects = [suspect for suspect, items in looked if items]
        if not suspects or asyncio.get_running_loop().time() > deadline:
            return [item for _, items in looked for item in items]
        await asyncio.sleep(0.5)


async def _look_again(deps: ReconcileDeps, suspect: Suspect) -> Found:
    found: Found = []
    async for stretch in _read(deps, *suspect):
        found += await examine(deps.database, deps.clickhouse, stretch, Reconciliation())
    return found


async def _repair(deps: ReconcileDeps, found: Found) -> int:
    """Publishes what is missing again; identities see to it that whoever has it already does nothing."""
    missing = [(difference, record) for difference, record in found if record is not None]
    usage = [record for difference, record in missing if difference.check != "charges"]
    lost = [_identity(record) for difference, record in missing if difference.check == "missing_in_analytics"]
    await analytics.forget(deps.clickhouse, lost)
    for record in {(record.partition, record.offset): record for record in usage}.values():
        await deps.producer.send(record.topic, record.key, [record.value], record.headers)
    charges = [record for difference, record in missing if difference.check == "charges"]
    return len(usage) + await _restate_charges(deps, charges)


async def _restate_charges(deps: ReconcileDeps, records: list[LogRecord]) -> int:
    """Publishes the ledger's statements about these usage events again, word for word."""
    wanted = {_identity(record) for record in records}
    again = 0
    for partition in await deps.log_reader.first_offsets(topics.LEDGER) if wanted else ():
        async with contextlib.aclosing(deps.log_reader.scan(topics.LEDGER, partition)) as stated:
            async for record in stated:
                if record.value is not None and _charged_identity(record.value) in wanted:
                    await deps.producer.send(record.topic, record.key, [record.value], record.headers)
                    again += 1
    return again


def _identity(record: LogRecord) -> tuple[str, str, str]:
    return catalog.decode(record.value or b"")[0].identity


def _charged_identity(value: bytes) -> tuple[str, str, str] | None:
    try:
        envelope, data = catalog.decode(value)
    except BadRecord:
        return None
    return (envelope.organization, data.event_source, data.event_id) if isinstance(data, ChargeBookedV1) else None


async def _export(deps: ReconcileDeps, result: Reconciliation) -> None:
    """Metrics, and the marks up to which everything was clean."""
    now = deps.clock.now()
    counts = result.by_check()
    for check in CHECKS:
        metrics.RECONCILE_DIFFERENCES.labels(check).set(counts.get(check, 0))
    for store, count in result.compared.items():
        metrics.RECONCILE_EVENTS.labels(store).set(count)
    metrics.RECONCILE_CLEAN.set(result.clean)
    metrics.RECONCILE_LAST.set(now.timestamp())
    if result.clean:
        async with deps.database.transaction() as tx:
            for (topic, partition), offset in sorted(result.marks.items()):
                await ledger.save_mark(tx, topic, partition, offset, now)
