"""A consumer far behind while new events come: its rate against the same backlog with nothing coming."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol

from benchmarks.consume import Lap
from benchmarks.measure import Size, interleaved, median
from benchmarks.report import Row
from benchmarks.rows.analytics import open_analytics
from benchmarks.rows.ledger import open_ledger
from benchmarks.world import World

BACKLOGS: Final = {"ledger": 40_000, "analytics": 200_000}
"""Twenty batches or more of each, of which the last ones are smaller."""
LARGE: Final = 1_000_000
PORTION: Final = 50_000
NEW_A_SECOND: Final = 500
EVERY_S: Final = 0.05
GOAL: Final = 0.8
"""New events take their part of the machine, and their producer runs beside the consumer."""


class Hop(Protocol):
    """A consumer with a store of its own."""

    def consuming(self) -> AbstractAsyncContextManager[None]:
        """Runs."""

    async def fill(self, count: int, prefix: str) -> int:
        """Puts events on Kafka."""


Work = Callable[[int], Awaitable[Lap]]


async def measure(world: World, size: Size) -> list[Row]:
    """The rows; a million events behind with `--full`, once."""
    async with open_ledger(world, 20) as ledger, ledger.consuming():
        rows = [await _hop("ledger", ledger, ledger.book, size)]
    async with open_analytics(world, 20, "catch_up") as analytics, analytics.consuming():
        return [*rows, await _hop("analytics", analytics, analytics.write, size)]


async def _hop(name: str, hop: Hop, work: Work, size: Size) -> Row:
    backlog, repetitions = (LARGE, 1) if size.full else (size.events(BACKLOGS[name]), size.repetitions)

    async def fill(prefix: str) -> None:
        for start in range(0, backlog, PORTION):
            await hop.fill(min(PORTION, backlog - start), f"{prefix}-{start}")

    async def idle(number: int) -> float:
        await fill(f"idle{number}")
        return (await work(backlog)).rate

    async def busy(number: int) -> float:
        await fill(f"busy{number}")
        async with _coming(hop, f"new{number}") as came:
            lap = await work(backlog)
        if left := backlog + came[0] - sum(lap.sizes):
            await work(left)
        return lap.rate

    await work(await hop.fill(2_000, "warm"))
    found = await interleaved({"idle": idle, "busy": busy}, repetitions)
    note = f"{backlog:,} events behind while {NEW_A_SECOND:,}/s come; limit: the same with an idle log"
    return Row(f"catch_up.{name}", median(found["busy"]), "events/s", median(found["idle"]), GOAL, note=note)


@asynccontextmanager
async def _coming(hop: Hop, prefix: str) -> AsyncIterator[list[int]]:
    """New events until the block ends; how many came."""
    came, over = [0], asyncio.Event()

    async def produce() -> None:
        while not over.is_set():
            came[0] += await hop.fill(int(NEW_A_SECOND * EVERY_S), f"{prefix}-{came[0]}")
            await asyncio.sleep(EVERY_S)

    producing = asyncio.create_task(produce())
    try:
        yield came
    finally:
        over.set()
        await producing
