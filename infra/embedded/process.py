"""A server process on a leash, seen from the parent: spawn, wait, stop, kill."""

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from infra.embedded.errors import EmbeddedError

T = TypeVar("T")

POLL_S = 0.02
FOREIGN_SETTINGS = ("PG", "JAVA_", "_JAVA", "JDK_", "CLASSPATH", "LC_", "LANG")
"""Variables of the caller's environment that would change how a server behaves."""


@dataclass(frozen=True)
class Launch:
    """How a server is run. `prefix` runs before the leash (see unroot); `lock` is held while a process lives."""

    command: Sequence[str]
    lock: Path
    log: Path
    directory: Path
    stop_signal: signal.Signals
    grace_s: float
    prefix: Sequence[str] = field(default=())


async def until(found: Callable[[], T | None]) -> T:
    """What `found` returns as soon as that is not None; for the caller to bound."""
    while (value := found()) is None:  # noqa: ASYNC110 - another process's doing raises no event here
        await asyncio.sleep(POLL_S)
    return value


class Leashed:
    """A running server. It dies with this process, whatever happens to this process."""

    def __init__(self, launch: Launch, leash: "subprocess.Popen[bytes]") -> None:
        self._launch = launch
        self._leash = leash

    @property
    def returncode(self) -> int | None:
        """The server's exit code, 128 + n after signal n; None while it runs."""
        return self._leash.poll()

    @property
    def pid(self) -> int | None:
        """The server's process id; None for the few milliseconds before it is known."""
        pids = _recorded_pids(self._launch.lock)
        return pids[1] if len(pids) == 2 and pids[0] == self._leash.pid else None

    async def wait(self) -> int:
        """Wait for the server's end; its exit code."""
        return await until(lambda: self.returncode)

    def let_go(self) -> None:
        """Ask the server to stop, without waiting; it is killed when it takes longer than its grace."""
        if self._leash.stdin is not None:
            self._leash.stdin.close()

    async def stop(self) -> None:
        """Stop the server in its own orderly way, in bounded time."""
        self.let_go()
        try:
            async with asyncio.timeout(self._launch.grace_s + 5):
                await self.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._leash.pid, signal.SIGKILL)
            await self.wait()

    async def kill(self) -> None:
        """Kill the server as `kill -9` does, and wait until it is gone."""
        async with asyncio.timeout(10):
            pid = await until(lambda: self.pid or (-1 if self.returncode is not None else None))
            if pid > 0 and self.returncode is None:
                os.kill(pid, signal.SIGKILL)
            await self.wait()
        self.let_go()


async def spawn(launch: Launch) -> Leashed:
    """Run a server once nothing is left of the one before, with its output appended to `launch.log`."""
    lock = await _claim(launch.lock, patience_s=launch.grace_s + 2)
    leash = str(Path(__file__).with_name("leash.py"))
    arguments = [str(lock), str(int(launch.stop_signal)), str(launch.grace_s), *launch.command]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN_SETTINGS)}
    try:
        with launch.log.open("ab") as log:
            return Leashed(
                launch,
                subprocess.Popen(  # noqa: ASYNC220 - returns at once, and belongs to no event loop
                    [*launch.prefix, sys.executable, "-I", "-S", leash, *arguments],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    cwd=launch.directory,
                    env={**environment, "LC_ALL": "C"},
                    pass_fds=(lock,),
                    start_new_session=True,
                ),
            )
    finally:
        os.close(lock)


async def run(launch: Launch, *, timeout_s: float) -> int:
    """Run a command to its end on a leash; its exit code, or 124 when it took too long and was stopped."""
    process = await spawn(launch)
    try:
        async with asyncio.timeout(timeout_s):
            return await process.wait()
    except TimeoutError:
        return 124
    finally:
        await process.stop()


async def _claim(path: Path, *, patience_s: float) -> int:
    """The locked file at `path`: waits for a server that is still stopping, and kills one that does not stop."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadlines = [time.monotonic() + patience_s, time.monotonic() + patience_s + 5]
    while not _locked(lock):
        if time.monotonic() > deadlines[0]:
            deadlines.pop(0)
            leftover = _recorded_pids(path)
            if not deadlines:
                os.close(lock)
                raise EmbeddedError(f"a server of an earlier run does not end; kill processes {leftover} ({path})")
            for pid in leftover:  # they hold the lock, so these pids are theirs
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(POLL_S)
    os.ftruncate(lock, 0)
    return lock


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _recorded_pids(path: Path) -> list[int]:
    return [int(word) for word in path.read_text().split()]
