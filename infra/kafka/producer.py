"""Writes to Kafka: acknowledged by all in-sync replicas, or refused within the deadline."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from contracts.errors import AihubError, BrokerUnavailable, Overloaded, TooLarge
from contracts.topics import Topic
from infra.kafka.lane import Headers, Lane
from infra.kafka.options import KafkaOptions, partition_of
from infra.kafka.producer_connection import ProducerConnection, unavailable

DEADLINE_S: Final = 4.0
MAX_BYTES_IN_FLIGHT: Final = 32 * 1024 * 1024
COMPRESSION: Final = "zstd"
"""Measured, batches of 100 events: zstd 1.3 us of CPU an event; lz4 3.3 (in Python); none 1.3, but many more bytes."""
_RECORD_OVERHEAD: Final = 128
_WATCH_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the values stand in the log: one offset each, in order, all in one partition."""

    topic: str
    partition: int
    offsets: list[int]

    @property
    def offset(self) -> int:
        """The offset of the first value."""
        return self.offsets[0]

    @property
    def count(self) -> int:
        """How many values were written."""
        return len(self.offsets)


class Producer:
    """An idempotent producer that outlives its broker.

    `send` returns when all in-sync replicas have the values, or raises within the deadline. What it raised for is
    not written, but for one case that Kafka cannot tell: the request had left and its answer was lost. Such a value
    may stand in the log; sending it again under the same event id changes nothing (see the law of identity).
    """

    def __init__(
        self,
        options: KafkaOptions,
        *,
        deadline_s: float = DEADLINE_S,
        max_bytes_in_flight: int = MAX_BYTES_IN_FLIGHT,
        compression: str | None = COMPRESSION,
    ) -> None:
        self._options = options
        self._deadline_s = deadline_s
        self._max_bytes = max_bytes_in_flight
        self._bytes = 0
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._watching = False
        self._connection = ProducerConnection(
            options,
            deadline_s=deadline_s,
            compression=compression,
            busy=lambda: self._bytes > 0,
            lost=self._abandon,
        )

    async def start(self) -> None:
        """Begins to connect, and goes on trying: does not fail when the broker is down."""
        await self._connection.start()

    async def stop(self) -> None:
        """Waits for what is in flight (at most the deadline), then closes."""
        if await self._connection.rest():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._deadline_s):
                    await self._idle.wait()
            await self._connection.close()

    @property
    def healthy(self) -> bool:
        """Whether the broker answered the last time that it was asked (each second)."""
        return self._connection.healthy

    async def send(
        self,
        topic: Topic,
        key: str | bytes | None,
        values: Sequence[bytes | None],
        headers: Headers = (),
        *,
        partition: int | None = None,
    ) -> Placed:
        """Where the values stand, acknowledged; one record batch in one partition unless they exceed 256 KiB.

        `partition` overrides the key's own (for records that go back where they came from).
        Raises: BrokerUnavailable within the deadline; Overloaded when too many bytes are in flight; TooLarge.
        """
        size = sum(len(value or b"") for value in values) + _RECORD_OVERHEAD * len(values)
        if self._bytes + size > self._max_bytes and self._bytes:
            raise Overloaded("Too much is on its way to Kafka; slow down and try again", retry_after_s=1)
        self._bytes += size
        self._idle.clear()
        try:
            return await self._send(topic, key.encode() if isinstance(key, str) else key, values, headers, partition)
        finally:
            self._bytes -= size
            if not self._bytes:
                self._idle.set()

    async def _send(
        self, topic: Topic, key: bytes | None, values: Sequence[bytes | None], headers: Headers, partition: int | None
    ) -> Placed:
        name, inner = self._options.name(topic), self._connection.producer
        try:
            if inner is None:
                inner = await self._connection.get()
            partitions = inner.client.cluster.partitions_for_topic(name) or await self._partitions(inner, name)
            number = partition_of(key or b"", len(partitions)) if partition is None else partition
            offsets: list[int] = []
            for first, records in self._lane(inner, name, number).append(key, values, headers):
                offset = await first
                offsets.extend(range(offset, offset + records))
        except (MessageSizeTooLargeError, RecordListTooLargeError):
            raise TooLarge(f"The record is larger than {name} allows") from None
        except KafkaError as error:
            raise self._refused(inner, error) from error
        return Placed(name, number, offsets)

    async def _partitions(self, inner: AIOKafkaProducer, name: str) -> set[int]:
        try:
            async with asyncio.timeout(self._deadline_s):
                partitions: set[int] = await inner.partitions_for(name)
        except TimeoutError:
            raise unavailable(f"does not know the topic {name}") from None
        if inner is not self._connection.producer:
            raise unavailable("was lost")
        return partitions

    def _lane(self, inner: AIOKafkaProducer, name: str, number: int) -> Lane:
        lane = self._lanes.get((name, number))
        if lane is None:
            lane = self._lanes[name, number] = Lane(inner, name, number, self._connection.acked)
        if not self._watching:
            self._watch()
        return lane

    def _watch(self) -> None:
        """Looks for overdue answers while any are awaited: one timer for all sends."""
        self._watching = self._bytes > 0
        if self._watching:
            asyncio.get_running_loop().call_later(_WATCH_S, self._watch)
            limit = time.monotonic() - self._deadline_s
            if overdue := [lane for lane in self._lanes.values() if lane.overdue(limit)]:
                self._time_out(overdue, limit)

    def _time_out(self, overdue: list[Lane], limit: float) -> None:
        """Some partitions are stuck, or the broker is gone: then the whole connection is replaced."""
        if self._connection.last_ack < limit:
            self._connection.lose(f"nothing was acknowledged within {self._deadline_s:g} s")
        for lane in overdue:
            lane.give_up(unavailable(f"did not acknowledge within {self._deadline_s:g} s"))

    def _refused(self, inner: AIOKafkaProducer | None, error: KafkaError) -> AihubError:
        """After an error that no retry mends (sequence lost, fenced) aiokafka's producer is of no use any more."""
        if not error.retriable and inner is self._connection.producer:
            self._connection.lose(type(error).__name__)
        return unavailable(f"refused the records ({type(error).__name__})")

    def _abandon(self, error: BrokerUnavailable) -> None:
        """The connection is gone, and with it what waits in the lanes."""
        lanes, self._lanes = self._lanes, {}
        for lane in lanes.values():
            lane.abandon(error)
