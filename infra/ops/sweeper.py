"""Runs what must happen from time to time, in one process at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from contracts.errors import Unavailable

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do every `every_s` seconds; it must bear running twice at once."""

    name: str
    every_s: float
    run: Callable[[], Awaitable[object]]


async def sweep(steps: Sequence[Step], stop: asyncio.Event) -> None:
    """Runs each step when it is due, until `stop`. A dependency that is down is waited for; a bug stops the role."""
    async with asyncio.TaskGroup() as tasks:
        for step in steps:
            tasks.create_task(_repeat(step, stop), name=step.name)


async def _repeat(step: Step, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await step.run()
        except Unavailable as error:
            log.warning("sweep waits", step=step.name, reason=error.message)
        try:
            async with asyncio.timeout(step.every_s):
                await stop.wait()
        except TimeoutError:
            continue
