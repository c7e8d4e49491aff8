"""Writes a batch so that every identity counts once in every query at every moment.

The steps, and why a stop between any two of them is harmless (partition = one partition of the log):

1. Of records with one identity inside the batch the first is kept.
2. ClickHouse is asked where identities came first. A record is kept when its identity is new, or when it is the very
   record that came first (same place, same time): then its facts may be missing. Anything else is a duplicate.
3. Identities are written before facts. Stopped here: the records come again, are found to be the first, go on.
4. Facts are written. Stopped here: they come again with the same sorting key and offset, and FINAL shows one.
5. Progress is written, then Kafka's offset; the next owner of the partition goes on at the lower of the two (below the
   second the dead letters are durable, too).

Two owners at once (a rebalance that one of them has not noticed) decide alike: whoever judges a record has judged all
records of its partition from some saved progress on, and the identities below that progress were written before it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import pyarrow as pa

from consumers.analytics import rows
from consumers.analytics.reading import Found, Reader
from consumers.analytics.seen import DEFAULT_BYTES, Seen
from consumers.batch import Batch
from contracts import topics
from contracts.errors import AnalyticsUnavailable
from infra.clickhouse import facts
from infra.clickhouse.client import ClickHouse
from infra.clickhouse.facts import Place
from infra.kafka.log import LogRecord

TOPICS: Final = (topics.USAGE, topics.LEDGER)
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
        self._reader = Reader()
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

    async def ahead(self, records: Sequence[LogRecord]) -> Found:
        """What the records say, worked out in a thread while the batch before them is written."""
        return await asyncio.to_thread(self._reader.read, records)

    async def handle(self, batch: Batch[LogRecord]) -> None:
        """Writes the batch; small ones at most four times a second, so that ClickHouse need not merge crumbs.

        Raises: AnalyticsUnavailable.
        """
        clock = asyncio.get_running_loop().time
        if len(batch.records) < SMALL:
            await asyncio.sleep(max(0.0, self._wrote_at + PACE_S - clock()))
        self._wrote_at = clock()
        await self.write(batch)

    async def write(self, batch: Batch[LogRecord]) -> Written:
        """Writes the batch's facts, each identity once, and then how far the log has been written.

        Raises: AnalyticsUnavailable; what was written until then does no harm when the batch comes again.
        """
        found = batch.ahead if isinstance(batch.ahead, Found) else await self.ahead(batch.records)
        for record, error in found.parked:
            batch.park(record, error)
        written = await self._write_usage(found) if found.identities else 0
        if found.charges:
            await facts.insert_charges(self._clickhouse, await asyncio.to_thread(rows.charge_columns, found.charges))
        if found.reached:
            await facts.save_progress(self._clickhouse, found.reached)
        return Written(written, len(found.identities) - written, len(found.charges))

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

    async def _write_usage(self, found: Found) -> int:
        """Identities first, then facts; how many rows were not duplicates."""
        first = _first_of_each(found.identities)
        seen = await self._known(list(first))
        kept, fresh = first, first
        if seen:
            kept = {one: row for one, row in first.items() if one not in seen or _is_at(seen[one], found.usage, row)}
            fresh = {one: row for one, row in kept.items() if one not in seen}
        await self._remember(list(fresh), _of(found.usage, fresh))
        if kept:
            await facts.insert_usage(self._clickhouse, _of(found.usage, kept))
        return len(kept)

    async def _remember(self, fresh: Sequence[bytes], usage: pa.Table) -> None:
        if fresh:
            self._seen.add(fresh)
            await facts.insert_identities(self._clickhouse, rows.identity_table(fresh, usage))

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


def _first_of_each(identities: Sequence[bytes]) -> dict[bytes, int]:
    """The first row of each identity, in their order."""
    first = dict(zip(identities, range(len(identities)), strict=True))
    if len(first) < len(identities):
        first = {}
        for row, identity in enumerate(identities):
            first.setdefault(identity, row)
    return first


def _is_at(places: set[Place], usage: pa.Table, row: int) -> bool:
    """Whether the row's record is the one that came first."""
    return rows.place_of(usage, row) in places


def _of(usage: pa.Table, kept: Mapping[bytes, int]) -> pa.Table:
    """These rows of it."""
    return usage if len(kept) == usage.num_rows else usage.take(pa.array(kept.values(), pa.int64()))
