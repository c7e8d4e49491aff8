"""Where a group member reads on after an assignment."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from contracts.errors import Unavailable
from infra.kafka.consumer import PatientConsumer

Places = Mapping[tuple[str, int], int]
"""An offset by (topic of the catalogue, partition)."""
OnAssign = Callable[[set[tuple[str, int]]], Awaitable[Places]]
"""Asks a sink that keeps its own offsets where it wants to go on."""

ANSWER_S: Final = 10.0
"""How long the broker has to say what the group has committed."""

_log = structlog.get_logger(__name__)


class Placement:
    """Seeks to the sink's own offsets; until that is done (`placed`) nothing is handed over.

    `assignments` counts how often partitions were taken away. An error that is no outage goes to `fail`.
    """

    def __init__(
        self, group: str, prefix: str, on_assign: OnAssign | None, fail: Callable[[BaseException], None]
    ) -> None:
        self.placed = asyncio.Event()
        self.assignments = 0
        self._group = group
        self._prefix = prefix
        self._on_assign = on_assign
        self._fail = fail
        self._placing = asyncio.Lock()

    def lost(self) -> None:
        """Partitions are taken away: until the next ones are placed nothing is handed over."""
        self.placed.clear()
        self.assignments += 1

    def named(self, places: Places) -> dict[TopicPartition, int]:
        """The offsets by the broker's names of the topics."""
        return {TopicPartition(self._prefix + topic, number): offset for (topic, number), offset in places.items()}

    async def place(self, consumer: PatientConsumer, assigned: Iterable[TopicPartition]) -> None:
        """One at a time: a second one that ended later would read again what the first has handed over."""
        async with self._placing:
            await self._place(consumer, assigned)

    async def place_again(self, consumer: PatientConsumer) -> None:
        """Asks the sink once more, when it could not say at the assignment."""
        if not self.placed.is_set() and not self._placing.locked() and consumer.assignment():
            await self.place(consumer, consumer.assignment())

    async def _place(self, consumer: PatientConsumer, assigned: Iterable[TopicPartition]) -> None:
        assignment = self.assignments
        if self._on_assign is not None:
            mine = {(place.topic.removeprefix(self._prefix), place.partition) for place in assigned}
            try:
                wanted = await self._on_assign(mine)
            except Unavailable as error:
                _log.warning("kafka.assign.waits", consumer=self._group, reason=error.message)
                return
            except Exception as error:  # noqa: BLE001 - aiokafka would swallow it
                self._fail(error)
                return
            places = await self._not_behind_the_group(consumer, self.named(wanted))
            if places is None or assignment != self.assignments:
                return
            consumer.put_back(places)
        self.placed.set()

    async def _not_behind_the_group(
        self, consumer: AIOKafkaConsumer, wanted: Mapping[TopicPartition, int]
    ) -> list[tuple[TopicPartition, int]] | None:
        """The sink's offsets, or the group's where those are lower; None when the broker does not answer.

        A sink may have written a batch whose dead letters were not yet durable: only the commit says that they are.
        """
        found = []
        try:
            async with asyncio.timeout(ANSWER_S):
                for place, offset in wanted.items():
                    committed = await consumer.committed(place)
                    found.append((place, min(offset, committed or 0)))
        except (KafkaError, TimeoutError, OSError) as error:
            _log.warning("kafka.assign.waits", consumer=self._group, reason=type(error).__name__)
            return None
        return found
