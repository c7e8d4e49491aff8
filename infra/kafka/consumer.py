"""aiokafka's consumer, its polls waiting for records and holding them back while partitions move."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError

_POLL_MS: Final = 500
_NEVER_S: Final = 1e9

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a group member may be told to do otherwise; all times in milliseconds."""

    max_records: int = 1_000
    session_timeout_ms: int = 10_000
    heartbeat_interval_ms: int = 1_000
    max_poll_interval_ms: int = 300_000
    fetch_bytes: int = 1024 * 1024
    drain_ms: int = 12_000

    def consumer_arguments(self) -> dict[str, Any]:
        """What the aiokafka consumer is given."""
        return {
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "fetch_max_wait_ms": _POLL_MS,
            "max_partition_fetch_bytes": self.fetch_bytes,
            "session_timeout_ms": self.session_timeout_ms,
            "rebalance_timeout_ms": self.session_timeout_ms,
            "heartbeat_interval_ms": self.heartbeat_interval_ms,
            "max_poll_interval_ms": self.max_poll_interval_ms,
            "consumer_timeout_ms": 1_000,
        }


class Handed:
    """The records of one poll: where they begin, and what became of their partitions since."""

    __slots__ = ("_first", "lost", "sought")

    def __init__(self, first: Mapping[TopicPartition, int]) -> None:
        self._first = first
        self.lost = False
        self.sought: dict[TopicPartition, int] = {}

    @property
    def void(self) -> bool:
        """Whether they must not be handled: they come again, here or with their new owner."""
        return self.lost or bool(self.sought)

    def places(self) -> list[tuple[TopicPartition, int]]:
        """Where to read on so that they come again, with what was put back since; nowhere after a rebalance.

        The rebalance has set the new owner's place, to what was committed: behind that, a seek would skip records.
        """
        if self.lost:
            return []
        return [(place, min(offset, self.sought.get(place, offset))) for place, offset in self._first.items()]


class PatientConsumer(AIOKafkaConsumer):  # type: ignore[misc] # aiokafka has no types
    """Hands over records only while `placed` is set, and none any more once `over` is.

    An error that no retry mends goes to `fail`. `handed` is what the last poll gave.
    """

    def __init__(
        self,
        group: str,
        placed: asyncio.Event,
        over: asyncio.Event,
        fail: Callable[[BaseException], None],
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self._group = group
        self._placed = placed
        self._over = over
        self._fail = fail
        self.handed = Handed({})

    async def start(self) -> None:
        await super().start()
        # A fetch for the other partitions, sent while one still has unread records, would keep that one waiting for
        # up to `fetch_max_wait_ms` afterwards: aiokafka has one fetch a broker under way. So they go together.
        self._fetcher._prefetch_backoff = _NEVER_S

    async def getmany(self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None) -> Any:
        """What is there, or what comes within half a second, whatever `timeout_ms` says."""
        if self._over.is_set():
            raise ConsumerStoppedError
        try:
            if not self._placed.is_set():
                await self._until_placed()
            records = await super().getmany(*partitions, timeout_ms=_POLL_MS, max_records=max_records)
        except ConsumerStoppedError:
            raise
        except KafkaError as error:
            if not error.retriable:
                self._fail(error)
                raise ConsumerStoppedError from error
            _log.warning("kafka.poll.failed", consumer=self._group, reason=str(error))
            await asyncio.sleep(_POLL_MS / 1000)
            return {}
        if records and not self._placed.is_set():
            self.put_back((place, found[0].offset) for place, found in records.items())
            return {}
        # Nothing is awaited between aiokafka's taking them out and here: what is sought or lost later concerns them.
        self.handed = Handed({place: found[0].offset for place, found in records.items()})
        return records

    def put_back(self, places: Iterable[tuple[TopicPartition, int]]) -> None:
        """Reads on from the lowest of these offsets of each partition that is still its own."""
        lowest: dict[TopicPartition, int] = {}
        for place, offset in places:
            lowest[place] = min(offset, lowest.get(place, offset))
        for place, offset in lowest.items():
            with contextlib.suppress(IllegalStateError):
                self.seek(place, offset)
                self.handed.sought[place] = offset

    async def _until_placed(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_POLL_MS / 1000):
                await self._placed.wait()
