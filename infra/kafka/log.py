"""Reads the log outside of any consumer group: offsets, searches, scans."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CoordinatorNotAvailableError, KafkaError

from contracts.errors import BrokerUnavailable
from contracts.topics import Topic
from infra.kafka.options import KafkaOptions, partition_of

CACHE_S: Final = 0.2
DEADLINE_S: Final = 4.0
SCAN_RECORDS: Final = 2_000
_RETRY_S: Final = 0.1
FETCH_BYTES: Final = 10 * 1024 * 1024

_T = TypeVar("_T")


class LogRecord(NamedTuple):
    """One record as it stands in the log, undecoded; `timestamp_ms` is when the producer made it."""

    topic: Topic
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int


class LogReader:
    """Looks into the log. Connects when first used; every call ends within its deadline.

    What it says of offsets is at most `cache_s` old. Raises, from every call: BrokerUnavailable.
    """

    def __init__(self, options: KafkaOptions, *, cache_s: float = CACHE_S) -> None:
        self._options = options
        self._cache_s = cache_s
        self._consumer: AIOKafkaConsumer | None = None
        self._admin: AIOKafkaAdminClient | None = None
        self._lock = asyncio.Lock()
        self._cache: dict[tuple[str, str], tuple[float, Any]] = {}
        self._partitions: dict[str, int] = {}

    async def close(self) -> None:
        """Closes its connections; the next call opens them again."""
        consumer, admin, self._consumer, self._admin = self._consumer, self._admin, None, None
        with contextlib.suppress(KafkaError, OSError):
            if consumer is not None:
                await consumer.stop()
            if admin is not None:
                await admin.close()

    async def partitions(self, topic: Topic) -> int:
        """How many partitions the topic has on the broker."""
        await self.end_offsets(topic)
        return self._partitions[topic.name]

    def partition_of(self, key: str, topic: Topic | None = None) -> int:
        """The key's partition; counts on `options.partitions` until the topic's offsets have been read once."""
        known = self._partitions.get(topic.name) if topic else None
        return partition_of(key.encode(), known or self._options.partitions)

    async def end_offset(self, topic: Topic, partition: int) -> int:
        """The offset that the partition's next record will get."""
        return (await self.end_offsets(topic)).get(partition, 0)

    async def end_offsets(self, topic: Topic) -> dict[int, int]:
        """The end offset of every partition."""
        return await self._cached(("end", topic.name), lambda: self._offsets(topic, "end_offsets"))

    async def first_offsets(self, topic: Topic) -> dict[int, int]:
        """The offset of the oldest record that retention has kept, per partition."""
        return await self._cached(("first", topic.name), lambda: self._offsets(topic, "beginning_offsets"))

    async def committed(self, group: str, topic: Topic, partition: int) -> int | None:
        """Where the group will go on: all below is done. None when it has never committed."""
        return (await self.committed_offsets(group)).get((topic.name, partition))

    async def committed_offsets(self, group: str) -> dict[tuple[str, int], int]:
        """The group's committed offsets by (topic, partition), for the topics of this hub."""
        return await self._cached(("committed", group), lambda: self._group_offsets(group))

    async def lag(self, group: str, topics: Sequence[Topic]) -> dict[tuple[str, int], int]:
        """Records behind the end, by (topic, partition)."""
        done = await self.committed_offsets(group)
        behind = {}
        for topic in topics:
            first, ends = await self.first_offsets(topic), await self.end_offsets(topic)
            for partition, end in ends.items():
                behind[topic.name, partition] = end - max(done.get((topic.name, partition), 0), first[partition])
        return behind

    async def find(
        self,
        topic: Topic,
        key: str,
        from_offset: int,
        match: Callable[[LogRecord], bool],
        limit: int = 1,
        timeout: float = DEADLINE_S,  # noqa: ASYNC109 - what was found by then is the answer
    ) -> list[LogRecord]:
        """The first `limit` records of the key that match, from an offset on; what was found when the time is up."""
        found: list[LogRecord] = []
        await self.partitions(topic)
        partition = self.partition_of(key, topic)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                async with contextlib.aclosing(self.scan(topic, partition, from_offset)) as records:
                    async for record in records:
                        if record.key == key.encode() and match(record):
                            found.append(record)
                        if len(found) >= limit:
                            break
        return found

    async def scan(
        self, topic: Topic, partition: int, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[LogRecord]:
        """Every record with start <= offset < end that retention has kept, in order; `end` None: up to now.

        Whoever does not read to the end closes it: `async with contextlib.aclosing(reader.scan(...))`.
        """
        stop = await self.end_offset(topic, partition) if end is None else end
        start = max(start, (await self.first_offsets(topic)).get(partition, 0))
        if start >= stop:
            return
        place = TopicPartition(self._options.name(topic), partition)
        consumer = self._new_consumer()
        with _broker_errors(self._options):
            try:
                await consumer.start()
                consumer.assign([place])
                consumer.seek(place, start)
                while await _position(consumer, place) < stop:
                    for record in await _next(consumer, place):
                        if record.offset < stop:
                            yield _record(topic, record)
            finally:
                await consumer.stop()

    async def _cached(self, what: tuple[str, str], ask: Callable[[], Awaitable[_T]]) -> _T:
        known = self._cache.get(what)
        if known is None or time.monotonic() - known[0] > self._cache_s:
            async with self._lock:
                known = self._cache.get(what)
                if known is None or time.monotonic() - known[0] > self._cache_s:
                    known = self._cache[what] = (time.monotonic(), await self._asked(ask))
        answer: _T = known[1]
        return answer

    async def _asked(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        try:
            with _broker_errors(self._options):
                async with asyncio.timeout(DEADLINE_S):
                    return await _patiently(ask)
        except BrokerUnavailable:
            await self.close()
            raise

    async def _offsets(self, topic: Topic, which: str) -> dict[int, int]:
        if self._consumer is None:
            self._consumer = self._new_consumer()
            await self._consumer.start()
        name = self._options.name(topic)
        numbers = await self._consumer._client._wait_on_metadata(name)  # no public call waits for a topic's metadata
        self._partitions[topic.name] = len(numbers)
        found = await getattr(self._consumer, which)([TopicPartition(name, number) for number in numbers])
        return {place.partition: offset for place, offset in found.items()}

    async def _group_offsets(self, group: str) -> dict[tuple[str, int], int]:
        if self._admin is None:
            self._admin = AIOKafkaAdminClient(**self._options.client_arguments())
            await self._admin.start()
        prefix = self._options.topics.prefix
        found = await self._admin.list_consumer_group_offsets(self._options.group(group))
        return {
            (place.topic.removeprefix(prefix), place.partition): kept.offset
            for place, kept in found.items()
            if place.topic.startswith(prefix) and kept.offset >= 0
        }

    def _new_consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **self._options.client_arguments(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=250,
            max_partition_fetch_bytes=FETCH_BYTES,
        )


def _record(topic: Topic, record: Any) -> LogRecord:
    return LogRecord(topic, record.partition, record.offset, record.key, record.value, record.headers, record.timestamp)


async def _patiently(ask: Callable[[], Awaitable[_T]]) -> _T:
    """Asks again while the cluster is only getting ready (a fresh one makes its offsets topic when first asked)."""
    while True:
        try:
            return await ask()
        except CoordinatorNotAvailableError:
            await asyncio.sleep(_RETRY_S)


async def _position(consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
    async with asyncio.timeout(DEADLINE_S):
        return int(await consumer.position(place))


async def _next(consumer: AIOKafkaConsumer, place: TopicPartition) -> Sequence[Any]:
    """The next records; none only where a transaction's mark stood. Raises: TimeoutError."""
    before = await _position(consumer, place)
    for _ in range(int(DEADLINE_S)):
        fetched = await consumer.getmany(place, timeout_ms=1_000, max_records=SCAN_RECORDS)
        if fetched or await _position(consumer, place) > before:
            return tuple(fetched.get(place, ()))
    raise TimeoutError(f"nothing was read within {DEADLINE_S:g} s")


@contextlib.contextmanager
def _broker_errors(options: KafkaOptions) -> Iterator[None]:
    try:
        yield
    except (KafkaError, TimeoutError, OSError) as error:
        raise BrokerUnavailable(f"Kafka does not answer at {options.bootstrap} ({type(error).__name__})") from error
