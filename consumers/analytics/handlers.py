"""Writes a batch so that every identity counts once in every query at every moment.

The steps, and why a stop between any two of them is harmless (partition = one partition of the log):

1. Of records with one identity inside the batch the first is kept.
2. ClickHouse is asked where identities came first. A record is kept when its identity is new, or when it is the very
   record that came first (same place, same time): then its facts may be missing. Anything else is a duplicate.
3. Identities are written before facts. Stopped here: the records come again, are found to be the first, go on.
4. Facts are written. Stopped here: they come again with the same sorting key and offset, and FINAL shows one.
5. Progress is written, from which the next owner of the partition goes on; then Kafka's offset, which only shows lag.

Two owners at once (a rebalance that one of them has not noticed) decide alike: whoever judges a record has judged all
records of its partition from some saved progress on, and the identities below that progress were written before it.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from consumers.analytics import rows
from consumers.analytics.rows import Fact
from consumers.analytics.seen import DEFAULT_BYTES, Seen
from consumers.batch import Batch, Record
from contracts import topics
from contracts.errors import AnalyticsUnavailable, InvalidRecord
from contracts.events.ledger import ChargeBookedV1
from contracts.events.usage import UsageRecordedV1
from infra.clickhouse import facts
from infra.clickhouse.client import ClickHouse
from infra.clickhouse.facts import Place

TOPICS: Final = (topics.USAGE, topics.LEDGER)
EARLIEST_US: Final = 0
LATEST_US: Final = 7_258_118_400_000_000
"""1970 to 2200: what the store can keep to the microsecond and sort."""


SMALL: Final = 1_000
PACE_S: Final = 0.25
"""How long a batch below SMALL records waits after the one before it began."""
REFILL_S: Final = 1.0


class Written(NamedTuple):
    """What a batch came to: usage facts written, duplicates dropped, charges written."""

    usage: int
    duplicates: int
    charges: int


class Sink:
    """Writes the batches of one consumer. `handle` and `resume` are what the runtime calls."""

    def __init__(self, clickhouse: ClickHouse, *, filter_bytes: int = DEFAULT_BYTES) -> None:
        self._clickhouse = clickhouse
        self._seen = Seen(filter_bytes)
        self._filling: asyncio.Task[None] | None = None
        self._filled = False
        self._wrote_at = 0.0

    async def resume(self, assigned: set[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Where to go on in the partitions just assigned: the sink's own offsets; 0 where it has written nothing.

        What earlier owners wrote is not in the filter yet: until it is, every identity is asked for.
        """
        await self.close()
        done = await facts.progress(self._clickhouse)
        self._filling = asyncio.create_task(self._fill())
        return {place: done[place].next_offset if place in done else 0 for place in assigned}

    async def handle(self, batch: Batch) -> None:
        """Writes the batch; small ones at most four times a second, so that ClickHouse need not merge crumbs.

        Raises: AnalyticsUnavailable.
        """
        clock = asyncio.get_running_loop().time
        if len(batch.records) < SMALL:
            await asyncio.sleep(max(0.0, self._wrote_at + PACE_S - clock()))
        self._wrote_at = clock()
        await self.write(batch)

    async def write(self, batch: Batch) -> Written:
        """Writes the batch's facts, each identity once, and then how far the log has been written.

        Raises: AnalyticsUnavailable; what was written until then does no harm when the batch comes again.
        """
        usage = await asyncio.to_thread(_sound, batch)
        written = await self._write_usage(usage) if usage else 0
        charges = [record for record in batch.records if isinstance(record.data, ChargeBookedV1)]
        if charges:
            await facts.insert_charges(self._clickhouse, await asyncio.to_thread(rows.charge_columns, charges))
        if batch.records:
            await facts.save_progress(self._clickhouse, _reached(batch.records))
        return Written(written, len(usage) - written, len(charges))

    async def ready(self) -> None:
        """Returns when the filter knows all identities; until then lookups are slower, not less true."""
        if self._filling is not None:
            await self._filling

    async def close(self) -> None:
        """Ends what runs beside the batches."""
        filling, self._filling, self._filled = self._filling, None, False
        if filling is not None:
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)

    async def _write_usage(self, usage: Sequence[Fact]) -> int:
        """Identities first, then facts, whose columns are made while ClickHouse writes the identities."""
        first = _first_of_each(usage)
        seen = await self._known(list(first))
        kept = [fact for identity, fact in first.items() if _is_first(fact, seen.get(identity))]
        fresh = [fact for fact in kept if fact.identity not in seen]
        columns, _ = await asyncio.gather(asyncio.to_thread(rows.usage_columns, kept), self._remember(fresh))
        if kept:
            await facts.insert_usage(self._clickhouse, columns)
        return len(kept)

    async def _remember(self, fresh: Sequence[Fact]) -> None:
        if fresh:
            self._seen.add(fact.identity for fact in fresh)
            await facts.insert_identities(self._clickhouse, rows.identity_columns(fresh))

    async def _known(self, identities: Sequence[bytes]) -> dict[bytes, set[Place]]:
        suspects = self._seen.suspects(identities) if self._filled else identities
        return await facts.known(self._clickhouse, suspects)

    async def _fill(self) -> None:
        while not self._filled:
            try:
                async for identities in facts.identities(self._clickhouse):
                    await asyncio.to_thread(self._seen.add, identities)
                self._filled = True
            except AnalyticsUnavailable:
                await asyncio.sleep(REFILL_S)


def _sound(batch: Batch) -> list[Fact]:
    """The batch's usage records; those whose time the store cannot keep are parked."""
    found = []
    for record in batch.records:
        if isinstance(record.data, UsageRecordedV1):
            fact = rows.fact_of(record, record.data)
            if EARLIEST_US <= fact.time_us < LATEST_US:
                found.append(fact)
            else:
                batch.park(record, InvalidRecord(f"The time {record.envelope.time} is not between 1970 and 2200."))
    return found


def _first_of_each(usage: Iterable[Fact]) -> dict[bytes, Fact]:
    first: dict[bytes, Fact] = {}
    for fact in usage:
        first.setdefault(fact.identity, fact)
    return first


def _is_first(fact: Fact, places: set[Place] | None) -> bool:
    return places is None or rows.place_of(fact) in places


def _reached(records: Iterable[Record]) -> Mapping[tuple[str, int], tuple[int, int]]:
    """(next offset, accepted_at in microseconds) by partition; each partition's records come in order."""
    last = {(record.topic.name, record.partition): record for record in records}
    return {place: (record.offset + 1, rows.micros(record.envelope.acceptedat)) for place, record in last.items()}
