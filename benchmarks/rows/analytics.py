"""The analytics consumer, from Kafka to the committed offset, against clickhouse-connect inserting the same rows."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from benchmarks.bare import analytics as bare
from benchmarks.bare.analytics import Insert
from benchmarks.consume import Gate, Lap, running
from benchmarks.events import records, usage
from benchmarks.measure import Size, interleaved, median
from benchmarks.report import Row
from benchmarks.world import World, produce
from consumers.analytics.app import NAME, TUNING
from consumers.analytics.handlers import TOPICS, Sink
from consumers.runtime import build_app
from contracts.topics import USAGE
from infra.clickhouse.client import ClickHouse
from infra.clickhouse.migrate import migrate
from infra.clock import SystemClock
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer

EVENTS: Final = 80_000
ORGANIZATIONS: Final = 20
FACTS: Final = ("usage_facts",)
EVERYTHING: Final = ("usage_facts", "usage_identities", "sink_progress")


class Recording(ClickHouse):
    """ClickHouse that keeps what is inserted, batch by batch."""

    inserts: list[Insert]
    batch = 0

    async def insert(
        self, table: str, columns: Sequence[Sequence[Any]], names: Sequence[str], types: Sequence[str]
    ) -> None:
        """Inserts."""
        self.inserts.append(Insert(self.batch, table, columns, names, types))
        await super().insert(table, columns, names, types)


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
        app = build_app(NAME, TOPICS, self._gate, kafka=self._kafka, producer=self._producer, clock=SystemClock(),
                        on_assign=self._sink.resume, tuning=TUNING)  # fmt: skip
        async with running(app.run, self._gate):
            yield
        await self._sink.close()

    async def _handle(self, batch: Any) -> None:
        await self._sink.handle(batch)
        self.clickhouse.batch += 1

    async def write(self, count: int) -> Lap:
        """Lets the consumer write what is on Kafka: so many records."""
        await self._sink.ready()
        self.clickhouse.inserts, self.clickhouse.batch = [], 0
        return await self._gate.run(count)

    async def fill(self, count: int, prefix: str) -> int:
        """Puts so many usage records on Kafka."""
        return await produce(self._producer, USAGE, records(usage(count, prefix), self.organizations))


@asynccontextmanager
async def open_analytics(world: World, organizations: int, database: str) -> AsyncIterator[Analytics]:
    """An empty store."""
    kafka = await world.kafka()
    clickhouse = Recording.open_chdb(world.engines.clickhouse_path, database)
    clickhouse.inserts = []
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
        for name in ("facts", "everything"):
            other = ClickHouse.open_chdb(world.engines.clickhouse_path, name)
            await migrate(other)
            await other.close()
        laps: list[Lap] = []

        async def hub(number: int) -> float:
            await analytics.fill(events, f"a{number}")
            laps.append(await analytics.write(events))
            return laps[-1].rate

        async def limit(database: str, tables: Sequence[str]) -> float:
            path, inserts = world.engines.clickhouse_path, analytics.clickhouse.inserts
            ends = await asyncio.to_thread(bare.write, path, database, inserts, tables)
            return sum(laps[-1].sizes[1:]) / (ends[len(laps[-1].sizes) - 1] - ends[0])

        async with analytics.consuming():
            found = await interleaved(
                {
                    "hub": hub,
                    "facts": lambda _: limit("facts", FACTS),
                    "all": lambda _: limit("everything", EVERYTHING),
                },
                size.repetitions,
            )
    rates = {name: median(values) for name, values in found.items()}
    return [
        Row("analytics", rates["hub"], "events/s", rates["all"], 0.5,
            note="from Kafka to committed offset; limit: clickhouse-connect, every row the consumer writes"),
        Row("analytics.of_facts", rates["hub"], "events/s", rates["facts"],
            note="the same against the usage facts alone, without the identities that make them count once"),
        Row("analytics.cpu", median(lap.cpu_us for lap in laps), "us per event",
            note="CPU of the process, ClickHouse's engine included"),
    ]  # fmt: skip
