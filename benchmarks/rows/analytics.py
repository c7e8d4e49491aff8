"""The analytics consumer, from Kafka to the committed offset, against clickhouse-connect inserting the same rows."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import pyarrow as pa

from benchmarks.bare import analytics as bare
from benchmarks.bare.analytics import Insert
from benchmarks.consume import Gate, Lap, running
from benchmarks.events import records, usage
from benchmarks.measure import Size, interleaved, median
from benchmarks.report import Row
from benchmarks.world import World, produce
from consumers.analytics.app import NAME, TUNING
from consumers.analytics.handlers import TOPICS, Sink
from consumers.batch import undecoded
from consumers.runtime import ConsumerApp
from contracts.topics import USAGE
from infra.clickhouse.client import ClickHouse
from infra.clickhouse.migrate import migrate
from infra.clock import SystemClock
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer

EVENTS: Final = 120_000
ORGANIZATIONS: Final = 20
FACTS: Final = ("usage_facts",)
EVERYTHING: Final = ("usage_facts", "usage_identities", "sink_progress")


class Recording(ClickHouse):
    """ClickHouse that keeps what is inserted, batch by batch."""

    kept: list[tuple[int, str, pa.Table]]
    batch = 0

    async def insert(
        self, table: str, columns: Sequence[Sequence[Any]], names: Sequence[str], types: Sequence[str]
    ) -> None:
        """Inserts lists."""
        self.kept.append((self.batch, table, pa.table([pa.array(column) for column in columns], list(names))))
        await super().insert(table, columns, names, types)

    async def insert_arrow(self, table: str, rows: pa.Table) -> None:
        """Inserts Arrow columns."""
        self.kept.append((self.batch, table, rows))
        await super().insert_arrow(table, rows)

    def inserts(self, oriented: str) -> list[Insert]:
        """What was inserted, as the values of Python."""
        found = []
        for batch, table, rows in self.kept:
            columns = [_values(column) for column in rows.columns]
            data = columns if oriented == "columns" else list(zip(*columns, strict=True))
            found.append(Insert(batch, table, rows.column_names, data))
        return found


def _values(column: Any) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if pa.types.is_map(column.type):
        return [dict(items) for items in column.to_pylist()]
    return list(column.to_pylist())


class Analytics:
    """The consumer on a database and topics of its own; it works when `write` lets it."""

    def __init__(
        self, kafka: KafkaOptions, clickhouse: Recording, producer: Producer, organizations: list[str]
    ) -> None:
        self.clickhouse = clickhouse
        self.organizations = organizations
        self._kafka = kafka
        self._producer = producer
        self._sink = Sink(clickhouse)
        self._gate = Gate(self._handle)

    @asynccontextmanager
    async def consuming(self) -> AsyncIterator[None]:
        """The role runs until the block ends; it knows all identities when this returns."""
        app = ConsumerApp(
            NAME, TOPICS, self._gate, undecoded, kafka=self._kafka, producer=self._producer, clock=SystemClock(),
            on_assign=self._sink.resume, tuning=TUNING, ahead=self._sink.ahead,
        )  # fmt: skip
        async with running(app.run, self._gate):
            yield
        await self._sink.close()

    async def _handle(self, batch: Any) -> None:
        await self._sink.handle(batch)
        self.clickhouse.batch += 1

    async def write(self, count: int) -> Lap:
        """Lets the consumer write what is on Kafka: so many records."""
        await self._sink.ready()
        self.clickhouse.kept, self.clickhouse.batch = [], 0
        return await self._gate.run(count)

    async def fill(self, count: int, prefix: str) -> int:
        """Puts so many usage records on Kafka."""
        return await produce(self._producer, USAGE, records(usage(count, prefix), self.organizations))


@asynccontextmanager
async def open_analytics(world: World, organizations: int, database: str) -> AsyncIterator[Analytics]:
    """An empty store."""
    kafka = await world.kafka()
    clickhouse = Recording.open_chdb(world.engines.clickhouse_path, database)
    clickhouse.kept = []
    await migrate(clickhouse)
    producer = Producer(kafka)
    await producer.start()
    try:
        yield Analytics(kafka, clickhouse, producer, [f"org_{number}" for number in range(organizations)])
    finally:
        await producer.stop()
        await clickhouse.close()


async def measure(world: World, size: Size) -> list[Row]:
    """The rows."""
    events = size.events(EVENTS)
    async with open_analytics(world, ORGANIZATIONS, "hub") as analytics:
        for name in ("rows", "columns", "facts"):
            other = ClickHouse.open_chdb(world.engines.clickhouse_path, name)
            await migrate(other)
            await other.close()
        laps: list[Lap] = []

        async def hub(number: int) -> float:
            await analytics.fill(events, f"a{number}")
            laps.append(await analytics.write(events))
            return laps[-1].rate

        async def limit(database: str, oriented: Literal["rows", "columns"], tables: Sequence[str]) -> float:
            path, inserts = world.engines.clickhouse_path, analytics.clickhouse.inserts(oriented)
            ends = await asyncio.to_thread(bare.write, path, database, inserts, tables, oriented)
            sizes, start = laps[-1].sizes, laps[-1].start
            return sum(sizes[start + 1 :]) / (ends[len(sizes) - 1] - ends[start])

        async with analytics.consuming():
            found = await interleaved(
                {
                    "hub": hub,
                    "rows": lambda _: limit("rows", "rows", EVERYTHING),
                    "columns": lambda _: limit("columns", "columns", EVERYTHING),
                    "facts": lambda _: limit("facts", "columns", FACTS),
                },
                size.repetitions,
            )
    rates = {name: median(values) for name, values in found.items()}
    return [
        Row("analytics", rates["hub"], "events/s", rates["rows"], 0.5,
            note="from Kafka to committed offset; limit: clickhouse-connect inserts the same rows, insert by insert"),
        Row("analytics.of_columns", rates["hub"], "events/s", rates["columns"],
            note="the same rows, but already made into columns"),
        Row("analytics.of_facts", rates["hub"], "events/s", rates["facts"],
            note="columns of the usage facts alone, without the identities that make them count once"),
        Row("analytics.cpu", median(lap.cpu_us for lap in laps), "us per event",
            note="CPU of the process, ClickHouse's engine included"),
    ]  # fmt: skip
