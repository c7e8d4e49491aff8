"""The effects of a batch: the handler's, and the dead letters of what it or the decoder refused."""

import asyncio
from collections.abc import Sequence
from typing import Generic

import structlog

from consumers.batch import Batch, Handler, Parked, R, Read
from consumers.parking import Streak, dead_letter
from contracts import topics
from contracts.errors import AihubError, Fate
from infra.clock import Clock
from infra.kafka.log import LogRecord
from infra.kafka.producer import Producer
from infra.telemetry import metrics

_log = structlog.get_logger(__name__)


class Effects(Generic[R]):
    """Lets one consumer's `handler` work; all that it did and all that was parked is durable afterwards."""

    def __init__(self, consumer: str, handler: Handler[R], producer: Producer, clock: Clock, streak: Streak) -> None:
        self.handler = handler
        self._consumer = consumer
        self._producer = producer
        self._clock = clock
        self._streak = streak

    async def take(self, records: Sequence[LogRecord], read: Read[R], known: object) -> None:
        """Handles what can be read and parks the rest. Raises: TooManyDeadLetters, Unavailable, or a bug."""
        good, unreadable = read
        parked = unreadable + (await self._handled(Batch(good, known)) if good else [])
        self._streak.note(records, parked)
        if parked:
            await self._park(parked)

    async def _handled(self, batch: Batch[R]) -> list[Parked]:
        """What the handler parked. Where it refuses a batch for what some record holds, finds that one by halving."""
        try:
            await self.handler(batch)
        except AihubError as error:
            if error.fate is not Fate.PARK:
                raise
            if len(batch.records) == 1:
                return [Parked(batch.records[0], error)]
            middle = len(batch.records) // 2
            first = await self._handled(Batch(batch.records[:middle]))
            return first + await self._handled(Batch(batch.records[middle:]))
        return batch.parked

    async def _park(self, parked: Sequence[Parked]) -> None:
        now = self._clock.now()
        letters = [
            self._producer.send(
                topics.DEAD_LETTERS, found.record.key, [found.record.value], dead_letter(self._consumer, found, now)
            )
            for found in parked
        ]
        await asyncio.gather(*letters)
        for found in parked:
            metrics.CONSUMER_DEAD_LETTERS.labels(self._consumer, found.error.code).inc()
        first = parked[0]
        _log.warning(
            "consumer.parked",
            consumer=self._consumer,
            records=len(parked),
            reason=first.error.code,
            first=f"{first.record.topic.name}/{first.record.partition}/{first.record.offset}",
        )
