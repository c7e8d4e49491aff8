"""How far behind a consumer is, and how old the oldest event that it has not processed."""

from collections.abc import Sequence
from datetime import datetime

from infra.kafka.log import LogRecord
from infra.kafka.subscriber import GroupMember
from infra.telemetry.progress import Progress

Place = tuple[str, int]


class Lag:
    """Keeps, per partition, where processing has come to; what is read but not processed counts as behind."""

    def __init__(self, member: GroupMember, progress: Progress) -> None:
        self._member = member
        self._progress = progress
        self._assignments = -1
        self._reached: dict[Place, int] = {}
        self._oldest_ms: dict[Place, int] = {}

    def read(self, records: Sequence[LogRecord]) -> None:
        """A batch waits for its turn: in partitions of which nothing was processed yet, processing begins with it."""
        self._forget_others()
        for record in records:
            place = (record.topic.name, record.partition)
            if place not in self._reached:
                self._reached[place] = record.offset
                self._oldest_ms[place] = record.timestamp_ms

    def took(self, records: Sequence[LogRecord]) -> None:
        """It is a batch's turn: its first records are the oldest unprocessed ones."""
        self._forget_others()
        for record in reversed(records):
            place = (record.topic.name, record.partition)
            self._reached[place] = record.offset
            self._oldest_ms[place] = record.timestamp_ms

    def done(self, records: Sequence[LogRecord]) -> None:
        """The batch took effect: what is unprocessed now is younger than its last records."""
        for record in records:
            place = (record.topic.name, record.partition)
            self._reached[place] = record.offset + 1
            self._oldest_ms[place] = record.timestamp_ms

    def reached(self, records: Sequence[LogRecord]) -> dict[Place, int]:
        """What to commit for the batch: per partition, the offset behind its last record."""
        return {(record.topic.name, record.partition): record.offset + 1 for record in records}

    async def report(self, now: datetime) -> None:
        """Tells the progress. Raises: BrokerUnavailable."""
        ends = await self._member.end_offsets()
        self._forget_others()
        reached = await self._member.positions() | self._reached
        behind = {place: max(0, end - reached[place]) for place, end in ends.items() if place in reached}
        oldest = [self._oldest_ms[place] for place, records in behind.items() if records and place in self._oldest_ms]
        age_s = max(0.0, now.timestamp() - min(oldest) / 1000) if oldest else 0.0
        self._progress.lag(behind, age_s)

    def _forget_others(self) -> None:
        """After a rebalance others may have gone on from here."""
        if self._member.assignments != self._assignments:
            self._assignments = self._member.assignments
            self._reached.clear()
            self._oldest_ms.clear()
