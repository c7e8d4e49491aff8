"""What a batch of records says: usage, charges, how far it reaches, and what cannot be read.

Nearly all records are read many at once (`consumers.analytics.plain`); the others one by one, by the contract itself.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from consumers.analytics import plain, rows
from consumers.batch import Record, decoded
from contracts.errors import AihubError, InvalidRecord
from contracts.events.ledger import ChargeBookedV1
from contracts.events.usage import MAX_PROPERTIES, UsageRecordedV1
from contracts.topics import USAGE
from infra.clickhouse.facts import USAGE as USAGE_SCHEMA
from infra.clickhouse.facts import stored
from infra.kafka.log import LogRecord

EARLIEST_US: Final = 0
LATEST_US: Final = 7_258_118_400_000_000
"""1970 to 2200: what the store can keep to the microsecond and sort."""

FEW: Final = 200
"""So few records are read one by one when one of them is not plain; more are halved to find it."""

Reached = dict[tuple[str, int], tuple[int, int]]
"""(next offset, accepted-at in microseconds) by topic and partition."""


class Found(NamedTuple):
    """What a batch says: usage in the log's order as it is stored, its identities row by row, and the rest."""

    usage: pa.Table
    identities: list[bytes]
    charges: list[Record]
    reached: Reached
    parked: list[tuple[LogRecord, AihubError]]


class _Part(NamedTuple):
    """Usage of some records of the batch: where they stand in it, and their columns."""

    at: Sequence[int]
    usage: pa.Table


class Reader:
    """Reads batches. Remembers which free properties came lately, so as to read them many at once."""

    def __init__(self) -> None:
        self._free: dict[str, str] = {}
        self._seldom = False
        """Whether halving was lately in vain; then it is not tried, and most records cost what they cost one by one."""

    def read(self, records: Sequence[LogRecord]) -> Found:
        """What the records say. May run in a thread."""
        found = _Reading(records)
        usage = [at for at, record in enumerate(records) if record.topic is USAGE and record.value]
        others = sorted(set(range(len(records))).difference(usage))
        size = FEW if self._seldom else max(1, len(usage))
        for start in range(0, len(usage), size):
            self._many(found, usage[start : start + size])
        self._one_by_one(found, others)
        self._seldom = 2 * found.in_vain > len(usage)
        return found.whole()

    def _many(self, found: "_Reading", at: Sequence[int]) -> None:
        """Reads records many at once: without those that are seen not to be plain, and halved where one is not."""
        if not at:
            return
        values = [found.records[one].value or b"" for one in at]
        table = plain.read(values, tuple(self._free.items()))
        if table is not None:
            found.add_plain(at, table)
        elif odd := [one for one, value in zip(at, values, strict=True) if plain.is_odd(value)]:
            self._one_by_one(found, odd)
            self._many(found, sorted(set(at).difference(odd)))
        elif len(at) <= FEW:
            found.in_vain += len(at)
            self._one_by_one(found, at)
        else:
            middle = len(at) // 2
            self._many(found, at[:middle])
            self._many(found, at[middle:])

    def _one_by_one(self, found: "_Reading", at: Sequence[int]) -> None:
        if at:
            self._learn(found.add_decoded(at))

    def _learn(self, usage: Sequence[UsageRecordedV1]) -> None:
        """Notes keys and types of free properties; begins anew when there are too many."""
        free = dict(self._free)
        for one in usage:
            for key, value in one.properties.items():
                kind = type(value).__name__
                if kind in plain.FREE_TYPES and free.get(key) != kind:
                    if len(free) >= MAX_PROPERTIES:
                        free.clear()
                    free[key] = kind
        self._free = free


class _Reading:
    """One batch while it is read."""

    def __init__(self, records: Sequence[LogRecord]) -> None:
        self.records = records
        self._parts: list[_Part] = []
        self._charges: list[Record] = []
        self._reached: Reached = {}
        self._parked: list[tuple[LogRecord, AihubError]] = []
        self.in_vain = 0

    def add_plain(self, at: Sequence[int], table: pa.Table) -> None:
        """Records that were read together."""
        records = [self.records[one] for one in at]
        usage = rows.usage_of_plain(table, records)
        self._parts.append(_Part(at, usage))
        accepted = usage.column("accepted_at")
        last = {(record.topic.name, record.partition): row for row, record in enumerate(records)}
        self._reach({place: (records[row].offset + 1, accepted[row].value) for place, row in last.items()})

    def add_decoded(self, at: Sequence[int]) -> list[UsageRecordedV1]:
        """Records that are read one by one; the usage among them."""
        usage: dict[int, Record] = {}
        for one in at:
            good, bad = decoded([self.records[one]])
            self._parked += [(self.records[one], parked.error) for parked in bad]
            for record in good:
                accepted = rows.micros(record.envelope.acceptedat)
                self._reach({(record.topic.name, record.partition): (record.offset + 1, accepted)})
                if isinstance(record.data, ChargeBookedV1):
                    self._charges.append(record)
                elif isinstance(record.data, UsageRecordedV1) and self._keepable(one, record):
                    usage[one] = record
        if usage:
            self._parts.append(_Part(list(usage), rows.usage_of_records(list(usage.values()))))
        return [record.data for record in usage.values() if isinstance(record.data, UsageRecordedV1)]

    def whole(self) -> Found:
        """All of it, the parts put together in the batch's order."""
        usage = pa.concat_tables([part.usage for part in self._parts]) if self._parts else USAGE_SCHEMA.empty_table()
        if len(self._parts) > 1:
            usage = usage.take(pc.sort_indices(pa.array([one for part in self._parts for one in part.at])))
        return Found(stored(usage), rows.identities(usage), self._charges, self._reached, self._parked)

    def _reach(self, reached: Mapping[tuple[str, int], tuple[int, int]]) -> None:
        for place, until in reached.items():
            self._reached[place] = max(until, self._reached.get(place, until))

    def _keepable(self, at: int, record: Record) -> bool:
        """Whether the store can keep the record's time; parks it otherwise."""
        if EARLIEST_US <= rows.micros(record.envelope.time) < LATEST_US:
            return True
        error = InvalidRecord(f"The time {record.envelope.time} is not between 1970 and 2200.")
        self._parked.append((self.records[at], error))
        return False
