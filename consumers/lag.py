"""How far behind a consumer is, and how old the oldest event that it has not processed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from infra.kafka.log import LogRecord
from infra.kafka.subscriber import GroupMember
from infra.telemetry.progress import Progress

Place = tuple[str, int]


class Span(NamedTuple):
    """A batch's share of one partition: its first and its last record."""

    first: LogRecord
    last: LogRecord


Extent = Mapping[Place, Span]
"""Where a batch begins and ends, by partition."""


def spans(records: Sequence[LogRecord]) -> Extent:
    """The batch's extent; each partition's records are in order."""
    firsts: dict[Place, LogRecord] = {}
    lasts: dict[Place, LogRecord] = {}
    for record in records:
        place = (record.topic.name, record.partition)
        firsts.setdefault(place, record)
        lasts[place] = record
    return {place: Span(first, lasts[place]) for place, first in firsts.items()}


def reached(batch: Extent) -> dict[Place, int]:
    """What to commit for the batch: per partition, the offset behind its last record."""
    return {place: last.offset + 1 for place, (_, last) in batch.items()}


class Lag:
    """Keeps, per partition, where processing has come to; what is read but not processed counts as behind."""

    def __init__(self, member: GroupMember, progress: Progress, number: int = 0) -> None:
        self._member = member
        self._progress = progress
        self._number = number
        self._assignments = -1
        self._reached: dict[Place, int] = {}
        self._oldest_ms: dict[Place, int] = {}

    def read(self, batch: Extent) -> None:
        """A batch waits for its turn: in partitions of which nothing was processed yet, processing begins with it."""
        self._forget_others()
        for place, (first, _) in batch.items():
            if place not in self._reached:
                self._reached[place] = first.offset
                self._oldest_ms[place] = first.timestamp_ms

    def took(self, batch: Extent) -> None:
        """It is a batch's turn: its first records are the oldest unprocessed ones."""
        self._forget_others()
        for place, (first, _) in batch.items():
            self._reached[place] = first.offset
            self._oldest_ms[place] = first.timestamp_ms

    def done(self, batch: Extent) -> None:
        """The batch took effect: what is unprocessed now is younger than its last records."""
        for place, (_, last) in batch.items():
            self._reached[place] = last.offset + 1
            self._oldest_ms[place] = last.timestamp_ms

    async def report(self, now: datetime) -> None:
        """Tells the progress. Raises: BrokerUnavailable."""
        ends = await self._member.end_offsets()
        self._forget_others()
        reached = await self._member.positions() | self._reached
        behind = {place: max(0, end - reached[place]) for place, end in ends.items() if place in reached}
        oldest = [self._oldest_ms[place] for place, records in behind.items() if records and place in self._oldest_ms]
        age_s = max(0.0, now.timestamp() - min(oldest) / 1000) if oldest else 0.0
        self._progress.lag(behind, age_s, self._number)

    def _forget_others(self) -> None:
        """After a rebalance others may have gone on from here."""
        if self._member.assignments != self._assignments:
            self._assignments = self._member.assignments
            self._reached.clear()
            self._oldest_ms.clear()
