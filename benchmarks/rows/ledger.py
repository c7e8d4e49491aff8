"""The ledger consumer, from Kafka to the committed offset, against asyncpg writing the same rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.bare import ledger as bare
from benchmarks.bare.ledger import Page
from benchmarks.consume import Gate, Lap, running, until
from benchmarks.events import records, usage
from benchmarks.measure import Size, interleaved, median
from benchmarks.report import Row
from benchmarks.world import World, produce
from consumers.credits.app import MEMBERS, build_crew
from consumers.credits.handlers import CreditsHandler
from contracts import catalog
from contracts.events.base import SYSTEM_SOURCE
from contracts.events.credits import CreditsGrantedV1
from contracts.topics import CREDITS, USAGE
from infra.clock import SystemClock
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.postgres import ledger_write, outbox
from infra.postgres.database import Database, Tx, raw

EVENTS: Final = 20_000
ORGANIZATIONS: Final = 20
GRANT_MICROS: Final = 10**15


class Tape:
    """Writes down what the ledger writes, transaction by transaction."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Tx, Page]] = {}

    async def connection(self, tx: Tx) -> Any:
        """Takes the place of `infra.postgres.database.raw`."""
        # The transaction is kept with its page: another one does not get its number then.
        _, page = self._kept.setdefault(id(tx), (tx, Page()))
        return _Recorded(await raw(tx), page)

    @property
    def pages(self) -> list[Page]:
        """What was written, in the order in which the transactions began to write."""
        return [page for _, page in self._kept.values()]


@dataclass(slots=True)
class _Recorded:
    inner: Any
    page: Page

    async def copy_records_to_table(self, table: str, *, records: Any, columns: Any) -> None:
        self.page.new.append((table, columns, records))
        await self.inner.copy_records_to_table(table, records=records, columns=columns)

    async def execute(self, sql: str, *values: Any) -> None:
        for table, field_ in (("UPDATE grants", "grants"), ("INTO accounts", "accounts"),
                              ("UPDATE ledger_heads", "heads"), ("INTO ledger_progress", "progress")):  # fmt: skip
            if table in sql:
                setattr(self.page, field_, values)
        await self.inner.execute(sql, *values)


@contextmanager
def recording(tape: Tape) -> Any:
    """Has the ledger's writes recorded until the block ends."""
    before = ledger_write.raw, outbox.raw
    ledger_write.raw = outbox.raw = tape.connection  # type: ignore[attr-defined]
    try:
        yield
    finally:
        ledger_write.raw, outbox.raw = before  # type: ignore[attr-defined]


class Ledger:
    """The credits consumer on a database and topics of its own; it works when `book` lets it."""

    def __init__(self, kafka: KafkaOptions, dsn: str, producer: Producer, organizations: list[str]) -> None:
        self.kafka = kafka
        self.dsn = dsn
        self.organizations = organizations
        self.tape = Tape()
        self._producer = producer
        self._gate = Gate(self._handle, MEMBERS)

    @asynccontextmanager
    async def consuming(self) -> AsyncIterator[None]:
        """The role runs until the block ends."""
        database, clock = Database.open(self.dsn), SystemClock()
        self._handler = CreditsHandler(database, clock)
        crew = build_crew(self._gate, kafka=self.kafka, producer=self._producer, clock=clock)
        async with running(crew.run, self._gate):
            await until(lambda: crew.is_shared_out)
            yield
        await database.close()

    async def _handle(self, batch: Any) -> None:
        await self._handler.handle(batch)

    async def book(self, count: int) -> Lap:
        """Lets the consumer book what is on Kafka: so many records."""
        return await self._gate.run(count)

    async def fill(self, count: int, prefix: str) -> int:
        """Puts so many usage records on Kafka."""
        return await produce(self._producer, USAGE, records(usage(count, prefix), self.organizations))

    async def grant(self) -> int:
        """Puts a large grant for every organization on Kafka."""
        now = SystemClock().now()
        data = CreditsGrantedV1(amount_micros=GRANT_MICROS, source="bonus", reason="benchmark")
        source = f"{SYSTEM_SOURCE}/benchmark"
        values = {
            one: [
                catalog.encode(catalog.state(data, event_id=f"grant-{one}", source=source, organization=one, now=now))
            ]
            for one in self.organizations
        }
        return await produce(self._producer, CREDITS, values)


@asynccontextmanager
async def open_ledger(world: World, organizations: int) -> AsyncIterator[Ledger]:
    """A ledger with so many organizations, each with credits."""
    kafka, dsn = await world.kafka(), await world.database()
    producer = Producer(kafka)
    await producer.start()
    try:
        ledger = Ledger(kafka, dsn, producer, [f"org_{number}" for number in range(organizations)])
        async with ledger.consuming():
            await ledger.book(await ledger.grant())
        yield ledger
    finally:
        await producer.stop()


async def measure(world: World, size: Size) -> list[Row]:
    """The rows."""
    events = size.events(EVENTS)
    async with open_ledger(world, ORGANIZATIONS) as ledger:
        checked = await bare.prepare(await world.database(ledger.dsn))
        unchecked = await bare.prepare(await world.database(ledger.dsn), checks=False)
        copy = await world.database(ledger.dsn)
        crew = [await bare.prepare(copy) for _ in range(MEMBERS)]
        laps: list[Lap] = []

        async def hub(number: int) -> float:
            await ledger.fill(events, f"l{number}")
            ledger.tape = Tape()
            with recording(ledger.tape):
                laps.append(await ledger.book(events))
            return laps[-1].rate

        async def limit(_: int) -> float:
            return await bare.rate(checked, ledger.tape.pages)

        async def together(_: int) -> float:
            return await bare.rate_together(crew, ledger.tape.pages)

        async def free(_: int) -> float:
            return await bare.rate(unchecked, ledger.tape.pages)

        async with ledger.consuming():
            ways = {"hub": hub, "bare": limit, "crew": together, "free": free}
            found = await interleaved(ways, size.repetitions)
        for connection in (checked, unchecked, *crew):
            await connection.close()
    rates = {name: median(values) for name, values in found.items()}
    return [
        Row("ledger", rates["hub"], "events/s", rates["bare"], 0.5,
            note=f"{ORGANIZATIONS} organizations, Kafka to committed offset; limit: asyncpg, same rows and batches"),
        Row("ledger.of_crew", rates["hub"], "events/s", rates["crew"],
            note=f"limit: the same with {MEMBERS} writers at once, as many as the hub has members"),
        Row("ledger.of_unchecked", rates["hub"], "events/s", rates["free"],
            note="limit: the same into tables that take anything, their triggers off"),
        Row("ledger.cpu", median(lap.cpu_us for lap in laps), "us per event", note="CPU of the consumer's process"),
    ]  # fmt: skip
