"""Role processes as the driver sees them: started by the nursery, killed, stopped, continued, waited for."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
START_S = 60.0
CHILDHOOD_S = 3.0

Patch = dict[str, Any]
"""What `tests.faults.patched` does to a process before it runs: {"kind": ..., "name": ..., ...}."""


class Child:
    """One process; `code` is its exit code (negative: the signal that killed it) once `ended` is done."""

    def __init__(self, argv: Sequence[str], log: Path) -> None:
        self.argv = list(argv)
        self.log = log
        self.started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.born = time.monotonic()

    @property
    def alive(self) -> bool:
        return not self.ended.done()

    @property
    def code(self) -> int | None:
        return self.ended.result() if self.ended.done() else None

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal; a process that is gone needs none."""
        if self.alive and self.started.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.started.result(), number)

    async def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        await asyncio.wait({self.ended}, timeout=10)

    async def terminate(self, within_s: float = 15.0) -> int | None:
        """SIGTERM; the exit code, or None when it had to be killed because it took longer.

        A newborn is left alone for a moment: before it listens to signals there is nothing to drain.
        """
        await asyncio.wait({self.ended}, timeout=max(0.0, self.born + CHILDHOOD_S - time.monotonic()))
        self.signal(signal.SIGTERM)
        await asyncio.wait({self.ended}, timeout=within_s)
        if self.alive:
            await self.kill()
            return None
        return self.code


class Nursery:
    """Starts children. `async with nursery(...)`."""

    def __init__(self, process: asyncio.subprocess.Process, logs: Path) -> None:
        self._process = process
        self.logs = logs
        self._numbers = itertools.count(1)
        self._children: dict[int, Child] = {}
        self.ready = asyncio.Event()

    async def start(
        self, name: str, argv: Sequence[str], env: Mapping[str, str], patches: Sequence[Patch] = ()
    ) -> Child:
        """A running process; what it prints goes to NAME.out and NAME.err among the logs."""
        number = next(self._numbers)
        child = self._children[number] = Child(argv, self.logs / f"{name}.out")
        command = {
            "do": "start",
            "id": number,
            "argv": list(argv),
            "env": dict(env),
            "out": str(child.log),
            "err": str(child.log.with_suffix(".err")),
            "patches": list(patches),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await asyncio.wait_for(asyncio.shield(child.started), START_S)
        return child

    async def listen(self) -> None:
        """Takes in what the nursery tells, until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            event = json.loads(line)
            if event["event"] == "ready":
                self.ready.set()
            elif event["event"] == "started":
                self._children[event["id"]].started.set_result(event["pid"])
            else:
                self._children.pop(event["id"]).ended.set_result(event["code"])


@asynccontextmanager
async def nursery(logs: Path) -> AsyncIterator[Nursery]:
    """A nursery; at the end everything that it started is killed."""
    logs.mkdir(parents=True, exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COV", "AIHUB_", "PYTEST_"))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.nursery"),
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    made = Nursery(process, logs)
    listening = asyncio.create_task(made.listen())
    try:
        await asyncio.wait_for(made.ready.wait(), START_S)
        yield made
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 10)
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        listening.cancel()
        await asyncio.wait({listening})
