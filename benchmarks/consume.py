"""Lets a consumer loose on a backlog and times it: whole cycles of fetch, decode, effect and commit."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from consumers.batch import Batch, Handler

LIMIT_S: Final = 240.0


@dataclass(slots=True)
class Lap:
    """The batches of one backlog: when each was done, the CPU this process had used then, and how large it was.

    `members` batches are at work at a time.
    """

    members: int = 1
    ends: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    @property
    def start(self) -> int:
        """The batch at whose end the clock starts: the second of one member (of few batches the last but one).

        While each member's first one waited at the gate, its second was made ready outside the time.
        """
        return min(2 * self.members - 1, len(self.ends) - 2)

    @property
    def rate(self) -> float:
        """Events a second from the start to the end of the last batch: every cycle in it is whole."""
        return sum(self.sizes[self.start + 1 :]) / (self.ends[-1] - self.ends[self.start])

    @property
    def cpu_us(self) -> float:
        """Microseconds of this process's CPU an event, over the same cycles."""
        return (self.cpu[-1] - self.cpu[self.start]) / sum(self.sizes[self.start + 1 :]) * 1e6


class Gate:
    """A handler in front of a consumer's own: holds batches back while a backlog is made, then times them."""

    def __init__(self, handler: Handler[Any], members: int = 1) -> None:
        self._handler = handler
        self._members = members
        self._open = asyncio.Event()
        self._moved = asyncio.Event()
        self.lap = Lap()

    async def __call__(self, batch: Batch[Any]) -> None:
        """Handles the batch once the gate is open."""
        await self._open.wait()
        await self._handler(batch)
        self.lap.ends.append(time.monotonic())
        self.lap.cpu.append(time.process_time())
        self.lap.sizes.append(len(batch.records))
        self._moved.set()

    async def run(self, expected: int) -> Lap:
        """Opens the gate until so many records were handled. Raises: TimeoutError."""
        self.lap = Lap(self._members)
        self.open()
        async with asyncio.timeout(LIMIT_S):
            while sum(self.lap.sizes) < expected:
                self._moved.clear()
                await self._moved.wait()
        self.close()
        return self.lap

    def open(self) -> None:
        """Lets batches through."""
        self._open.set()

    def close(self) -> None:
        """Holds the next batch back."""
        self._open.clear()


@asynccontextmanager
async def running(role: Callable[[asyncio.Event], Awaitable[None]], gate: Gate) -> AsyncIterator[None]:
    """Runs the role until the block ends."""
    stop = asyncio.Event()
    gate.close()
    task = asyncio.ensure_future(role(stop))
    try:
        yield
    finally:
        stop.set()
        gate.open()
        await task


async def until(condition: Callable[[], bool]) -> None:
    """Returns when it holds. Raises: TimeoutError."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - the broker's doing
            await asyncio.sleep(0.05)
