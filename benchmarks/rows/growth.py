"""What an event costs the ledger and analytics while their stores grow, and with many organizations (`--full`)."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Final, NamedTuple, Protocol

from benchmarks.consume import Lap
from benchmarks.measure import Size
from benchmarks.processes import cpu_s, tree
from benchmarks.report import Row
from benchmarks.rows.analytics import open_analytics
from benchmarks.rows.ledger import open_ledger
from benchmarks.world import World
from infra.clock import SystemClock
from infra.ops.laws import broken_laws
from infra.postgres.database import Database

STORES: Final = (10_000, 100_000, 1_000_000)
SMALL_STORES: Final = (10_000, 30_000)
ORGANIZATIONS: Final = (1, 100, 10_000)
SMALL_ORGANIZATIONS: Final = (1, 100)
LAP: Final = 20_000
PORTION: Final = 50_000
LOGARITHM: Final = 2.0
"""From 10^4 to 10^6 a logarithm grows by a half; twice leaves room for the noise of one measurement."""


class Hop(Protocol):
    """A consumer with a store of its own."""

    def consuming(self) -> AbstractAsyncContextManager[None]:
        """Runs."""

    async def fill(self, count: int, prefix: str) -> int:
        """Puts events on Kafka."""


Work = Callable[[int], Awaitable[Lap]]


class Cost(NamedTuple):
    """Microseconds an event."""

    cpu_us: float
    wall_us: float


Check = Callable[[], Awaitable[None]]


async def measure(world: World, size: Size) -> list[Row]:
    """Rows of both hops: microseconds of CPU an event, the limit being the smallest store."""
    stores = STORES if size.full else SMALL_STORES
    rows: list[Row] = []
    async with open_ledger(world, 20) as ledger, ledger.consuming(), _laws(ledger.dsn) as check:
        rows += await _stores("ledger", world, ledger, ledger.book, stores, check)
    async with open_analytics(world, 20, "growth") as analytics, analytics.consuming():
        rows += await _stores("analytics", world, analytics, analytics.write, stores)
    return rows + await _organizations(world, ORGANIZATIONS if size.full else SMALL_ORGANIZATIONS)


@asynccontextmanager
async def _laws(dsn: str) -> AsyncIterator[Check]:
    """The check of the ledger's laws as the sweeper runs it each minute."""
    database = Database.open(dsn)

    async def check() -> None:
        assert await broken_laws(database, SystemClock().now()) == []

    yield check
    await database.close()


async def _stores(
    name: str, world: World, hop: Hop, work: Work, stores: tuple[int, ...], check: Check | None = None
) -> list[Row]:
    found: list[Cost] = []
    checked: list[Cost] = []
    held = 0
    for store in stores:
        while held < store:
            count = min(PORTION, store - held)
            await work(await hop.fill(count, f"fill{held}"))
            held += count
        if check is not None:
            await check()
        await hop.fill(LAP, f"lap{store}")
        found.append(await _cost(world, partial(work, LAP)))
        held += LAP
        if check is not None:
            checked.append(await _cost(world, check))
        print(f"growth.{name} with {store:,}: {found[-1]} {checked[-1:]}", flush=True)
    return _rows(name, stores, found) + (_rows(f"{name}.laws", stores, checked) if checked else [])


async def _cost(world: World, work: Callable[[], Awaitable[object]]) -> Cost:
    """What the work on a lap costs this process (ClickHouse is in it) and PostgreSQL together."""
    before, began = _cpu(world), time.monotonic()
    await work()
    return Cost((_cpu(world) - before) / LAP * 1e6, (time.monotonic() - began) / LAP * 1e6)


def _cpu(world: World) -> float:
    return time.process_time() + sum(cpu_s(pid) for pid in tree(world.engines.postgres.pid or 0))


def _rows(name: str, stores: tuple[int, ...], found: list[Cost]) -> list[Row]:
    return [
        Row(f"growth.{name}.{store:,}", cost.cpu_us, "CPU-us per event", found[0].cpu_us, LOGARITHM, "<=",
            note=f"{LAP:,} events with {store:,} in the store; limit: with {stores[0]:,}; {cost.wall_us:.0f} us wall")
        for store, cost in zip(stores, found, strict=True)
    ]  # fmt: skip


async def _organizations(world: World, numbers: tuple[int, ...]) -> list[Row]:
    found: list[Cost] = []
    for number in numbers:
        async with open_ledger(world, number) as ledger, ledger.consuming():
            await ledger.book(await ledger.fill(LAP // 10, "warm"))
            await ledger.fill(LAP, "lap")
            found.append(await _cost(world, partial(ledger.book, LAP)))
        print(f"growth.ledger with {number:,} organizations: {found[-1]}", flush=True)
    return [
        Row(f"growth.ledger.{number:,} organizations", cost.cpu_us, "CPU-us per event", found[0].cpu_us,
            note=f"{LAP:,} events by chance among them; limit: one organization; {cost.wall_us:.0f} us wall")
        for number, cost in zip(numbers, found, strict=True)
    ]  # fmt: skip
