"""Keeps roles running: a role that crashes is started again and its records are delivered again."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

log = structlog.get_logger()

RoleRun = Callable[[asyncio.Event], Awaitable[None]]
FIRST_DELAY_S: Final = 0.5
LONGEST_DELAY_S: Final = 30.0


async def keep_running(name: str, run: RoleRun, stop: asyncio.Event) -> None:
    """Runs a role until `stop`; after a crash again, with growing delays (a fresh start resets nothing on disk)."""
    delay = FIRST_DELAY_S
    while not stop.is_set():
        try:
            await run(stop)
        except Exception:
            log.exception("role crashed; it starts again", role=name, delay_s=delay)
            await wait(stop, delay)
            delay = min(delay * 2, LONGEST_DELAY_S)
        else:
            return


async def wait(stop: asyncio.Event, seconds: float) -> bool:
    """Waits for `stop`, at most so long; whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
    return stop.is_set()


@contextmanager
def stop_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set `stop`: everything drains."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
