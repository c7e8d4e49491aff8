"""A dispatcher's life as the others see it: registered, alive by its heartbeat, or declared dead."""

import asyncio
import time
from typing import Final

import structlog

from contracts.errors import DatabaseUnavailable
from infra.clock import Clock
from infra.ids import new_uuid
from infra.postgres import webhooks_queue as queue
from infra.postgres.database import Database

HEARTBEAT_S: Final = 1.0
SILENT_S: Final = 4.0
"""Without a heartbeat for this long nothing more is sent: in two more seconds others take the rows over."""
START_AGAIN_S: Final = 1.0

log = structlog.get_logger()


class Incarnation:
    """Holds the id under which rows are leased; a new one after others took it for dead."""

    def __init__(self, database: Database, clock: Clock, name: str) -> None:
        self._database = database
        self._clock = clock
        self._name = name
        self._last_beat = float("-inf")
        self.id = new_uuid()

    @property
    def silent(self) -> bool:
        """Whether the others may soon take it for dead, so that it must not send."""
        return time.monotonic() - self._last_beat > SILENT_S

    async def begin(self, stop: asyncio.Event) -> bool:
        """Registers, as soon as the database is there; False when `stop` came first."""
        while not stop.is_set():
            try:
                await self._register()
                return True
            except DatabaseUnavailable as error:
                log.warning("webhooks.start_waits", reason=error.message)
                await _pause(stop, START_AGAIN_S)
        return False

    async def beat(self) -> bool:
        """Keeps every lease; False when they were lost, and what comes is leased under a new id."""
        started = time.monotonic()
        async with self._database.transaction() as tx:
            alive = await queue.heartbeat(tx, self.id, self._clock.now())
        if alive:
            self._last_beat = started
            return True
        log.warning("webhooks.declared_dead", dispatcher=str(self.id))
        self.id = new_uuid()
        await self._register()
        return False

    async def end(self) -> None:
        """Frees everything that is still leased. Raises: DatabaseUnavailable."""
        async with self._database.transaction() as tx:
            await queue.unregister(tx, self.id)

    async def _register(self) -> None:
        started = time.monotonic()
        async with self._database.transaction() as tx:
            await queue.register(tx, self.id, self._name, self._clock.now())
        self._last_beat = started


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
