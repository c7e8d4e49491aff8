"""Writes to Kafka: acknowledged by all in-sync replicas, or refused within the deadline."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from contracts.errors import AihubError, BrokerUnavailable, Overloaded, TooLarge
from contracts.topics import TOPICS, Topic
from infra.kafka.lane import Headers, Lane
from infra.kafka.options import KafkaOptions, partition_of

DEADLINE_S: Final = 4.0
BATCH_BYTES: Final = 256 * 1024
MAX_BYTES_IN_FLIGHT: Final = 32 * 1024 * 1024
COMPRESSION: Final = "zstd"
"""Measured, batches of 100 events: zstd 1.3 us of CPU an event; lz4 3.3 (in Python); none 1.3, but many more bytes."""
_RECORD_OVERHEAD: Final = 128
_PROBE_S: Final = 1.0
_WATCH_S: Final = 0.25
_CONNECT_S: Final = 5.0

_log = structlog.get_logger(__name__)


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
        self._compression = compression
        self._bytes = 0
        self._inner: AIOKafkaProducer | None = None
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._up = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._last_ack = time.monotonic()
        self._down_since = time.monotonic()
        self._reachable = False
        self._watching = False
        self._keeper: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begins to connect, and goes on trying: does not fail when the broker is down."""
        self._down_since = time.monotonic()
        self._keeper = asyncio.create_task(self._keep_connected())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._up.wait()

    async def stop(self) -> None:
        """Waits for what is in flight (at most the deadline), then closes."""
        if self._keeper is None:
            return
        self._keeper.cancel()
        await asyncio.wait({self._keeper})
        self._keeper = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._deadline_s):
                await self._idle.wait()
        self._lose("the producer was stopped")
        if self._closing:
            await asyncio.wait(self._closing, timeout=self._deadline_s)

    @property
    def healthy(self) -> bool:
        """Whether the broker answered the last time that it was asked (each second)."""
        return self._inner is not None and self._reachable

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
        name, inner = self._options.name(topic), self._inner
        try:
            if inner is None:
                inner = await self._connected()
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

    async def _connected(self) -> AIOKafkaProducer:
        """Waits for the connection for the deadline, once; refuses at once when the broker is known to be down."""
        while self._inner is None:
            left = self._down_since + self._deadline_s - time.monotonic()
            if left <= 0 or self._keeper is None:
                raise _unavailable("cannot be reached")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._up.wait()
        return self._inner

    async def _partitions(self, inner: AIOKafkaProducer, name: str) -> set[int]:
        try:
            async with asyncio.timeout(self._deadline_s):
                partitions: set[int] = await inner.partitions_for(name)
        except TimeoutError:
            raise _unavailable(f"does not know the topic {name}") from None
        if inner is not self._inner:
            raise _unavailable("was lost")
        return partitions

    def _lane(self, inner: AIOKafkaProducer, name: str, number: int) -> Lane:
        lane = self._lanes.get((name, number))
        if lane is None:
            lane = self._lanes[name, number] = Lane(inner, name, number, self._acked)
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

    def _acked(self) -> None:
        self._last_ack = time.monotonic()
        self._reachable = True

    def _time_out(self, overdue: list[Lane], limit: float) -> None:
        """Some partitions are stuck, or the broker is gone: then the whole producer is replaced."""
        if self._last_ack < limit:
            self._lose(f"nothing was acknowledged within {self._deadline_s:g} s")
        for lane in overdue:
            lane.give_up(_unavailable(f"did not acknowledge within {self._deadline_s:g} s"))

    def _refused(self, inner: AIOKafkaProducer | None, error: KafkaError) -> AihubError:
        """After an error that no retry mends (sequence lost, fenced) aiokafka's producer is of no use any more."""
        if not error.retriable and inner is self._inner:
            self._lose(type(error).__name__)
        return _unavailable(f"refused the records ({type(error).__name__})")

    def _lose(self, reason: str) -> None:
        """Drops the connection and all that waits on it; the keeper makes a new one."""
        inner, lanes, self._inner, self._lanes = self._inner, self._lanes, None, {}
        if inner is None:
            return
        if self._keeper is not None:
            _log.warning("kafka.producer.lost", reason=reason)
        self._up.clear()
        self._reachable = False
        self._down_since = time.monotonic()
        for lane in lanes.values():
            lane.abandon(_unavailable(f"was lost: {reason}"))
        task = asyncio.create_task(_discard(inner))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _keep_connected(self) -> None:
        pause = _PROBE_S / 4
        while True:
            if self._inner is None:
                await self._connect()
                pause = _PROBE_S if self._inner else min(pause * 2, 2 * _PROBE_S)
            elif not await self._answers(self._inner) and not self._bytes:
                self._lose("the broker does not answer")
                pause = _PROBE_S / 4
            await asyncio.sleep(pause)

    async def _connect(self) -> None:
        inner = AIOKafkaProducer(
            **self._options.client_arguments() | {"request_timeout_ms": int(_CONNECT_S * 1000)},
            acks="all",
            enable_idempotence=True,
            compression_type=self._compression,
            max_batch_size=BATCH_BYTES,
            max_request_size=max(topic.max_message_bytes for topic in TOPICS),
            linger_ms=0,
        )
        try:
            async with asyncio.timeout(_CONNECT_S):
                await inner.start()
        except (KafkaError, TimeoutError, OSError):
            await _discard(inner)
        except asyncio.CancelledError:
            await _discard(inner)
            raise
        else:
            self._inner, self._last_ack, self._reachable = inner, time.monotonic(), True
            self._up.set()

    async def _answers(self, inner: AIOKafkaProducer) -> bool:
        """Asks for metadata; a producer whose sender task has died is lost at once."""
        sender = inner._sender.sender_task  # aiokafka 0.14 has no public way to ask
        if sender is None or sender.done():
            self._lose("its sender ended")
            return False
        try:
            async with asyncio.timeout(self._deadline_s / 2):
                self._reachable = bool(await inner.client.force_metadata_update())
        except (KafkaError, TimeoutError, OSError):
            self._reachable = False
        return self._reachable


async def _discard(inner: AIOKafkaProducer) -> None:
    """Closes without flushing: `stop()` would wait for a broker that is gone (aiokafka 0.14: private attributes)."""
    inner._closed = True
    sender = inner._sender.sender_task
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(_CONNECT_S):
            await inner.client.close()
    if sender is not None:
        sender.cancel()
        await asyncio.wait({sender}, timeout=_CONNECT_S)
        if sender.done() and not sender.cancelled():
            sender.exception()


def _unavailable(what: str) -> BrokerUnavailable:
    return BrokerUnavailable(f"Kafka {what}; try again")
