"""Runs a handler on batches of records: decode, handle, park, commit; and the three fates of what goes wrong.

The next batch is decoded while the one before it waits for its sink; it is handled after that one's commit, and
dropped undone when that one is put back, at a rebalance and at a stop.

Unreadable or invalid: to the dead letters, the rest goes on. A dependency is down: the batch is put back and comes
again, the partitions are kept. Too many dead letters in a row: stop. Anything else is a bug: nothing is committed,
`run` raises, the process ends and its successor gets the batch again. So a handler's effects must be idempotent.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final, Generic

import structlog
from opentelemetry import trace

from consumers.batch import Ahead, Decode, Handler, R, Read, Record
from consumers.effects import Effects
from consumers.lag import Extent, Lag, reached, spans
from consumers.parking import MAX_IN_A_ROW, Streak
from contracts.errors import BrokerUnavailable, Unavailable
from contracts.topics import Topic
from infra.clock import Clock
from infra.kafka.log import LogRecord
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.kafka.subscriber import GroupMember, OnAssign, Tuning, Work
from infra.telemetry import metrics, tracing
from infra.telemetry.progress import Progress, progress_of

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
REPORT_S: Final = 1.0
PORTION: Final = 50
"""Records that are decoded in one go (about 1 ms) before the batch at work gets its turn again."""

_log = structlog.get_logger(__name__)
_tracer = trace.get_tracer("aihub.consumers")


class ConsumerApp(Generic[R]):
    """One consumer: `app` is its FastStream application, `run` its role, `progress` what health is told of it.

    `beside` is another member of its crew (consumers/crew.py), whose progress it shares.
    """

    def __init__(
        self,
        name: str,
        topics: Sequence[Topic],
        handler: Handler[R],
        decode: Decode[R],
        *,
        kafka: KafkaOptions,
        producer: Producer,
        clock: Clock,
        on_assign: OnAssign | None = None,
        tuning: Tuning | None = None,
        max_dead_letters: int = MAX_IN_A_ROW,
        ahead: Ahead | None = None,
        beside: "ConsumerApp[R] | None" = None,
    ) -> None:
        self.name = name
        self.topics = tuple(topics)
        self.progress: Progress = progress_of(name) if beside is None else beside.progress
        self.number = 0 if beside is None else self.progress.enlist()
        self._effects = Effects(name, handler, producer, clock, Streak(max_dead_letters))
        self._decode = decode
        self._ahead = ahead
        self._clock = clock
        self._pauses = 0
        self._stop = asyncio.Event()
        mine = kafka.member(self.number)
        self._member = GroupMember(mine, name, topics, self._on_batch, on_assign=on_assign, tuning=tuning)
        self._lag = Lag(self._member, self.progress, self.number)
        self._longest_pause_s = min(LONGEST_PAUSE_S, self._member.tuning.max_poll_interval_ms / 3000)
        self.app = self._member.app

    @property
    def owns_partitions(self) -> bool:
        """Whether the group has given it something to read."""
        return self._member.is_assigned

    async def run(self, stop: asyncio.Event) -> None:
        """Consumes until `stop` is set, then finishes the batch in hand, commits, leaves the group; within 15 s.

        Waits for a broker that is down. Raises: TooManyDeadLetters, or the bug that the handler ran into.
        """
        self._stop = stop
        try:
            if await self._joined(stop):
                await self._consumed_until(stop)
        except BaseException as error:
            self.progress.stopped(repr(error))
            raise

    async def _joined(self, stop: asyncio.Event) -> bool:
        while not stop.is_set():
            try:
                if await self._started(stop):
                    self._pauses = 0
                    return True
            except BrokerUnavailable as error:
                await self._pause(error)
        return False

    async def _started(self, stop: asyncio.Event) -> bool:
        """Whether it has joined before `stop`: that may take as long as the session of a member that is gone."""
        starting, stopping = asyncio.create_task(self._member.start()), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            starting.cancel()
            stopping.cancel()
            await asyncio.wait({starting, stopping})
        if not starting.cancelled():
            starting.result()
        return not starting.cancelled()

    async def _consumed_until(self, stop: asyncio.Event) -> None:
        reports = asyncio.create_task(self._report())
        ends = [asyncio.create_task(stop.wait()), asyncio.create_task(self._member.failed.wait()), reports]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in ends:
                task.cancel()
            await asyncio.wait(ends)
            await self._member.stop()
        if not reports.cancelled():
            reports.result()
        if self._member.error is not None:
            raise self._member.error

    async def _report(self) -> None:
        while True:
            self._member.check()
            with contextlib.suppress(BrokerUnavailable):
                await self._member.place()
                await self._member.settle()
                await self._lag.report(self._clock.now())
            await asyncio.sleep(REPORT_S)

    async def _on_batch(self, records: Sequence[LogRecord]) -> Work:
        """Reads what the records say, in portions, while the batch before them is at work; their turn comes later."""
        extent = spans(records)
        self._lag.read(extent)
        read: Read[R] = [], []
        for start in range(0, len(records), PORTION):
            if start:
                await asyncio.sleep(0)
            for all_, some in zip(read, self._decode(records[start : start + PORTION]), strict=True):
                all_ += some  # type: ignore[operator]
        known = await self._ahead(records) if self._ahead else None
        return partial(self._work, records, extent, read, known)

    async def _work(self, records: Sequence[LogRecord], extent: Extent, read: Read[R], known: object) -> None:
        """The steps of one batch, the commit last. What it raises stops the consumer."""
        began = time.monotonic()
        self._lag.took(extent)
        with self._span(records):
            try:
                await self._effects.take(records, read, known)
            except Unavailable as error:
                await self._put_back(records, error)
                return
            self._lag.done(extent)
            await self._member.commit(reached(extent))
        self._pauses = 0
        metrics.CONSUMER_BATCH_SECONDS.labels(self.name).observe(time.monotonic() - began)
        accepted = [record.envelope.acceptedat for record in read[0] if isinstance(record, Record)]
        self.progress.records(len(records), max(accepted, default=None), self.number)

    async def _put_back(self, records: Sequence[LogRecord], error: Unavailable) -> None:
        """Waits with the partitions kept: reads on from the batch's first offsets after a pause."""
        self._member.rewind(records)
        self._member.rest()
        await self._pause(error)

    async def _pause(self, error: Unavailable) -> None:
        self.progress.waiting(error.message)
        if self._pauses == 0:
            _log.warning("consumer.waits", consumer=self.name, reason=error.message)
        pause = min(FIRST_PAUSE_S * 2 ** min(self._pauses, 10), self._longest_pause_s)
        self._pauses += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._stop.wait()

    @contextlib.contextmanager
    def _span(self, records: Sequence[LogRecord]) -> Iterator[None]:
        """One span a batch, linked to the traces of its records; costs nothing while tracing is off."""
        with _tracer.start_as_current_span(f"{self.name} batch", kind=trace.SpanKind.CONSUMER) as span:
            if span.is_recording():
                span.set_attribute("messaging.batch.message_count", len(records))
                traced = [dict(r.headers).get("traceparent") for r in records]
                for link in tracing.links([{"traceparent": t.decode(errors="replace")} for t in traced if t]):
                    span.add_link(link.context)
            yield
