"""The commits of one group member: in order, and none forgotten that the broker did not acknowledge."""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

COMMIT_S: Final = 10.0
"""How long the broker has to acknowledge."""

_log = structlog.get_logger(__name__)


class Commits:
    """Commits "all below is done", only of partitions that are still the member's own.

    What the broker does not acknowledge in time goes along with the next commit; in a partition to which nothing new
    comes there is none for a long time, so `settle` is to be called now and then: else it would seem to lag for ever.
    """

    def __init__(self, group: str) -> None:
        self._group = group
        self._owed: dict[TopicPartition, int] = {}
        self._turn = asyncio.Lock()

    async def commit(self, consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> bool:
        """Whether all is committed; if not, the effects stand, and records that come again change nothing."""
        async with self._turn:
            mine = consumer.assignment()
            wanted = {place: offset for place, offset in {**self._owed, **offsets}.items() if place in mine}
            if not wanted:  # aiokafka refuses an empty commit with ValueError
                self._owed = {}
                return not offsets
            try:
                async with asyncio.timeout(COMMIT_S):
                    await consumer.commit(wanted)
            except TimeoutError:
                self._owed = wanted
                _log.warning("kafka.commit.late", consumer=self._group, reason=f"no answer within {COMMIT_S:g} s")
                return False
            except (CommitFailedError, IllegalStateError) as error:
                self._owed = {}  # the group has moved on: whoever owns the partitions now reads the records again
                _log.warning("kafka.commit.lost", consumer=self._group, reason=str(error) or type(error).__name__)
                return False
            self._owed = {}
            return all(place in mine for place in offsets)

    async def settle(self, consumer: AIOKafkaConsumer) -> None:
        """Commits what is owed, if anything is."""
        if self._owed and not self._turn.locked():
            await self.commit(consumer, {})

    def forget(self) -> None:
        """The partitions are taken away: they are read on from what was committed."""
        self._owed = {}
