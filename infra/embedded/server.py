"""What the embedded servers have in common: start until it answers, stop in order, kill and come back."""

import asyncio
import time
from abc import ABC, abstractmethod
from pathlib import Path

from infra.embedded.errors import EmbeddedError, start_failed
from infra.embedded.process import POLL_S, Launch, Leashed, spawn


class Server(ABC):
    """A server of one kind at one place; it may be started, killed and started again, on the same port."""

    engine: str
    start_limit_s: float
    port: int

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process: Leashed | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the server, None when it does not run."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        """Whether the server's process is alive."""
        return self._process is not None and self._process.returncode is None

    @abstractmethod
    def move(self, port: int) -> None:
        """Listen on `port` from the next start on."""

    async def start(self) -> None:
        """Start the server and wait until it answers.

        Raises: EmbeddedError when it ends or does not answer in time; nothing is left running then.
        """
        if self.running:
            return
        self.let_go()
        since = self.log.stat().st_size if self.log.exists() else 0
        await self._prepare()
        self._process = await spawn(self._launch())
        try:
            await self._until_ready(self._process, since)
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """Wait until the server ends, for whatever reason; its exit code (128 + n after signal n)."""
        if self._process is None:
            raise EmbeddedError(f"{self.engine} was not started")
        return await self._process.wait()

    def let_go(self) -> None:
        """Ask the server to stop, without waiting."""
        if self._process is not None:
            self._process.let_go()

    async def stop(self) -> None:
        """Stop the server in its own orderly way, in bounded time."""
        if self._process is not None:
            await self._process.stop()
        self._clean()

    async def kill(self) -> None:
        """Kill the server as `kill -9` does, and wait until it is gone; for fault tests."""
        if self._process is not None:
            await self._process.kill()

    async def _until_ready(self, process: Leashed, since: int) -> None:
        deadline = time.monotonic() + self.start_limit_s
        while not await self._ready(since):
            if process.returncode is not None:
                raise start_failed(self.engine, f"ended with code {process.returncode}", self.log, since=since)
            if time.monotonic() > deadline:
                raise start_failed(
                    self.engine, f"did not answer within {self.start_limit_s:.0f} s", self.log, since=since
                )
            await asyncio.sleep(POLL_S)

    @abstractmethod
    async def _prepare(self) -> None:
        """Make on disk what the server needs."""

    @abstractmethod
    def _launch(self) -> Launch:
        """How the server is run."""

    @abstractmethod
    async def _ready(self, since: int) -> bool:
        """Whether the server answers a real question; `since` is the size of the log before this start."""

    @abstractmethod
    def _clean(self) -> None:
        """Remove what must not stay after a stop."""
