"""What an event costs the ledger and analytics while their stores grow, and with many organizations (`--full`)."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from benchmarks.consume import Lap
from benchmarks.measure import Size
from benchmarks.report import Row
from benchmarks.rows.analytics import open_analytics
from benchmarks.rows.ledger import open_ledger
from benchmarks.world import World

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


async def measure(world: World, size: Size) -> list[Row]:
    """Rows of both hops: microseconds of wall time an event, the limit being the smallest store."""
    stores = STORES if size.full else SMALL_STORES
    rows: list[Row] = []
    async with open_ledger(world, 20) as ledger, ledger.consuming():
        rows += await _stores("ledger", ledger, ledger.book, stores)
    async with open_analytics(world, 20, "growth") as analytics, analytics.consuming():
        rows += await _stores("analytics", analytics, analytics.write, stores)
    return rows + await _organizations(world, ORGANIZATIONS if size.full else SMALL_ORGANIZATIONS)


async def _stores(name: str, hop: Hop, work: Work, stores: tuple[int, ...]) -> list[Row]:
    found: list[float] = []
    held = 0
    for store in stores:
        while held < store:
            count = min(PORTION, store - held)
            await work(await hop.fill(count, f"fill{held}"))
            held += count
        await hop.fill(LAP, f"lap{store}")
        found.append(1e6 / (await work(LAP)).rate)
        held += LAP
    return [
        Row(f"growth.{name}.{store:,}", figure, "us per event", found[0], LOGARITHM, "<=",
            note=f"with {store:,} events in the store; limit: with {stores[0]:,}")
        for store, figure in zip(stores, found, strict=True)
    ]  # fmt: skip


async def _organizations(world: World, numbers: tuple[int, ...]) -> list[Row]:
    found: list[float] = []
    for number in numbers:
        async with open_ledger(world, number) as ledger, ledger.consuming():
            await ledger.book(await ledger.fill(LAP // 10, "warm"))
            await ledger.fill(LAP, "lap")
            found.append(1e6 / (await ledger.book(LAP)).rate)
    return [
        Row(f"growth.ledger.{number:,} organizations", figure, "us per event", found[0],
            note="20,000 events by chance among them; limit: one organization")
        for number, figure in zip(numbers, found, strict=True)
    ]  # fmt: skip
