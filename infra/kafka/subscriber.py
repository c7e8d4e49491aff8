"""One member of a consumer group: a FastStream application that hands over raw batches and commits by hand.

What FastStream 0.7.8 and aiokafka 0.14 do by default, and what is done about it here:
at-most-once acknowledgement (manual commits, last), swallowed handler errors (kept, the member stops),
a batch voided by one bad header or body (neither is decoded here), a pause after an empty poll (polls wait for
data instead), one partition's unread records delaying the others by a fetch (they are fetched together), an idle
processor while a sink writes (the next batch is read and made ready meanwhile).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker

from contracts.errors import BrokerUnavailable
from contracts.topics import Topic
from infra.kafka import undecoded
from infra.kafka.commits import Commits
from infra.kafka.consumer import PatientConsumer, Tuning
from infra.kafka.log import LogRecord
from infra.kafka.options import KafkaOptions
from infra.kafka.placement import OnAssign, Placement, Places
from infra.kafka.predecessor import dismiss_predecessor
from infra.kafka.turn import Turn, Work
from infra.kafka.undecoded import UndecodedBroker

OnBatch = Callable[[Sequence[LogRecord]], Awaitable[Work]]
"""Makes a batch ready, without any effect: it may never be its turn."""

_ANSWER_S: Final = 10.0
_HAND_OVER_S: Final = 5.0

__all__ = ["GroupMember", "OnAssign", "OnBatch", "Places", "Tuning", "Work"]


class GroupMember:
    """Reads its share of the topics' partitions: `on_batch` makes a batch ready, and answers with its work.

    One batch at a time is at work, in the order of reading; its work commits or rewinds before it returns. The next
    one is made ready meanwhile, and dropped if the one before it was put back, if partitions moved or at a stop.
    An error that either raises is a bug: nothing more is read, and `failed` is set and `error` holds it.
    `on_assign` may answer where a sink wants to go on, before anything is read.
    """

    def __init__(
        self,
        options: KafkaOptions,
        group: str,
        topics: Sequence[Topic],
        on_batch: OnBatch,
        *,
        on_assign: OnAssign | None = None,
        tuning: Tuning | None = None,
    ) -> None:
        self.group = group
        self.tuning = tuning or Tuning()
        self._options = options
        self._on_batch = on_batch
        self._topics = {options.name(topic): topic for topic in topics}
        self._placement = Placement(group, options.topics.prefix, on_assign, self.fail)
        self._turn = Turn(self.fail)
        self._commits = Commits(group)
        self._over = asyncio.Event()
        self._consumer: PatientConsumer | None = None
        self.failed = asyncio.Event()
        self.error: BaseException | None = None
        self.app = FastStream(self._broker(), logger=None)

    @property
    def assignments(self) -> int:
        """How often partitions were taken away."""
        return self._placement.assignments

    @property
    def is_assigned(self) -> bool:
        """Whether it owns partitions now."""
        return self._consumer is not None and bool(self._consumer.assignment())

    async def start(self) -> None:
        """Joins the group. Raises: BrokerUnavailable when the broker is down or lacks the topics; try again then."""
        self._over.clear()
        try:
            await dismiss_predecessor(self._options, self.group)
            await self.app.start()
        except (KafkaError, TimeoutError, OSError) as error:
            await self.stop()
            raise BrokerUnavailable(f"{self.group} cannot join its group ({type(error).__name__})") from error
        except BaseException:
            await self.stop(drain_s=0)
            raise

    async def stop(self, drain_s: float | None = None) -> None:
        """Lets the batch at work end (for `drain_ms`), leaves the group and closes; bounded, whatever is down."""
        self._over.set()
        drain_s = self.tuning.drain_ms / 1000 if drain_s is None else drain_s
        with contextlib.suppress(KafkaError, TimeoutError, OSError):
            async with asyncio.timeout(drain_s + 2):
                await self._turn.end(drain_s)
                await self.app.stop()

    async def commit(self, places: Places) -> bool:
        """Commits "all below is done"; only of partitions that are still its own.

        False when the group has moved on or the broker does not answer: the effects stand, the records will come
        again and change nothing, or `settle` commits them later.
        """
        return await self._commits.commit(self._running(), self._placement.named(places))

    async def settle(self) -> None:
        """Commits what the broker did not acknowledge before; to be called now and then."""
        if self._consumer is not None:
            await self._commits.settle(self._consumer)

    def rewind(self, records: Iterable[LogRecord]) -> None:
        """The records will be read again; partitions that were lost meanwhile are left to their new owner."""
        self._running().put_back(
            (TopicPartition(self._options.name(record.topic), record.partition), record.offset) for record in records
        )

    async def end_offsets(self) -> dict[tuple[str, int], int]:
        """The end of every partition that it owns now. Raises: BrokerUnavailable."""
        consumer = self._running()
        try:
            async with asyncio.timeout(_ANSWER_S):
                found = await consumer.end_offsets(consumer.assignment())
        except (KafkaError, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"Kafka does not tell its end offsets ({type(error).__name__})") from error
        return {(self._topics[place.topic].name, place.partition): end for place, end in found.items()}

    async def positions(self) -> dict[tuple[str, int], int]:
        """The offset that it would read next, of every partition that it owns and knows its place in."""
        consumer, found = self._running(), {}
        for place in consumer.assignment():
            with contextlib.suppress(TimeoutError, IllegalStateError):
                async with asyncio.timeout(0.2):
                    found[self._topics[place.topic].name, place.partition] = int(await consumer.position(place))
        return found

    def rest(self) -> None:
        """To be called before a long pause inside a batch's work: a rebalance need not wait for it."""
        self._turn.at_rest.set()

    async def place(self) -> None:
        """Asks the sink where to go on, once more, when it could not say at the assignment."""
        if self._consumer is not None:
            await self._placement.place_again(self._consumer)

    def check(self) -> None:
        """Fails the member when aiokafka has stopped reading for good: its polls would wait for ever then."""
        fetcher = self._consumer._fetcher if self._consumer is not None else None
        if fetcher is not None and fetcher.error_future.done():
            self.fail(RuntimeError(f"{self.group}: aiokafka's fetcher has ended"))

    def fail(self, error: BaseException) -> None:
        """Ends the member: nothing more is read or committed."""
        self.error = self.error or error
        self.failed.set()
        self._over.set()

    def _running(self) -> PatientConsumer:
        if self._consumer is None:
            raise RuntimeError("the group member was not started")
        return self._consumer

    def _broker(self) -> KafkaBroker:
        broker = UndecodedBroker(
            self._options.bootstrap,
            builder=self._build_consumer,
            consumer_only=True,
            allow_auto_create_topics=False,
            graceful_timeout=self.tuning.drain_ms / 1000,
            logger=None,
            apply_types=False,
        )
        subscriber = broker.subscriber(
            *self._topics,
            group_id=self._options.group(self.group),
            batch=True,
            max_records=self.tuning.max_records,
            batch_timeout_ms=1,
            ack_policy=AckPolicy.MANUAL,
            listener=_Listener(self),
            parser=undecoded.parse,
            decoder=undecoded.decode,
        )
        subscriber(self._consume)
        return broker

    def _build_consumer(self, **arguments: Any) -> PatientConsumer:
        mine = self._options.client_arguments() | self.tuning.consumer_arguments()
        self._consumer = PatientConsumer(self.group, self._placement.placed, self._over, self.fail, **arguments | mine)
        return self._consumer

    async def _consume(self, raw: Sequence[Any]) -> None:
        """FastStream's handler: it would swallow what is raised here, so nothing is.

        Returns as soon as the batch is at work, so that the next one is read.
        """
        consumer = self._running()
        handed = consumer.handed
        try:
            work = await self._on_batch([self._record(record) for record in raw])
        except Exception as error:  # noqa: BLE001 - handed to whoever runs the member, who raises it
            self.fail(error)
            return
        await self._turn.over()
        if handed.void:
            consumer.put_back(handed.places())
        elif not self._over.is_set():
            self._turn.begin(work)

    def _record(self, raw: Any) -> LogRecord:
        topic = self._topics[raw.topic]
        return LogRecord(topic, raw.partition, raw.offset, raw.key, raw.value, raw.headers, raw.timestamp)

    async def _revoked(self) -> None:
        """Partitions move: the batch at work gets a moment to commit, so that its next owner need not repeat it."""
        self._placement.lost()
        self._commits.forget()
        self._running().handed.lost = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HAND_OVER_S):
                await self._turn.at_rest.wait()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    def __init__(self, member: GroupMember) -> None:
        self._member = member

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self._member._revoked()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        await self._member._placement.place(self._member._running(), assigned)
