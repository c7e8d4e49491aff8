"""Whose turn it is: one batch at a time is at work, in a task of its own, while the next one is made ready."""

import asyncio
from collections.abc import Awaitable, Callable

Work = Callable[[], Awaitable[None]]
"""What is left to do with a batch that is ready: its effects, then the commit or the rewind."""


class Turn:
    """Runs one piece of work after the other; an error that one raises goes to `fail`."""

    def __init__(self, fail: Callable[[BaseException], None]) -> None:
        self._fail = fail
        self._task: asyncio.Task[None] | None = None
        self.at_rest = asyncio.Event()
        self.at_rest.set()

    def begin(self, work: Work) -> None:
        """Sets it to work; what was at work before must be over."""
        self.at_rest.clear()
        self._task = asyncio.create_task(self._run(work))

    async def over(self) -> None:
        """Returns when nothing is at work."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def end(self, limit_s: float) -> None:
        """Lets what is at work end; what has not ended in time is cancelled."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=limit_s)
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, work: Work) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - handed to whoever runs the member, who raises it
            self._fail(error)
        finally:
            self.at_rest.set()
