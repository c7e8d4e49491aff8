"""Work that a request leaves behind: bounded, and finished before the process ends."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

MAX_TASKS: Final = 100
CLOSE_S: Final = 5.0


class Background:
    """Tasks that nobody waits for; each handles its own expected failures."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self.closing = asyncio.Event()

    def start(self, work: Coroutine[Any, Any, None]) -> bool:
        """True when the work was taken; False when too much is under way: it is dropped."""
        if len(self._tasks) >= MAX_TASKS or self.closing.is_set():
            work.close()
            return False
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def close(self) -> None:
        """Returns when all work is done, after at most 5 s; what is not is cancelled."""
        self.closing.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_S)
            for task in late:
                task.cancel()
