"""Processes of their own: helpers that answer questions on their standard input, roles of the hub, and their CPU."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import orjson

ROOT: Final = Path(__file__).parents[1]
ANSWER_S: Final = 600.0
STOP_S: Final = 20.0
LINE_BYTES: Final = 64 * 1024 * 1024

Answers = Mapping[str, Callable[[dict[str, Any]], Awaitable[Any]]]


class Child:
    """A helper process: `ask` puts one question and waits for the answer."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def ask(self, question: str, **details: Any) -> Any:
        """The answer. Raises: RuntimeError when the process ended or took too long."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(orjson.dumps({"question": question, **details}) + b"\n")
        await self._process.stdin.drain()
        async with asyncio.timeout(ANSWER_S):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the helper process ended at {question!r}: see its output above")
        return orjson.loads(line)


@asynccontextmanager
async def child(module: str, *arguments: str) -> AsyncIterator[Child]:
    """Runs `python -m module` with `answer_questions` in it, until the block ends."""
    async with running([sys.executable, "-m", module, *arguments], {}, talks=True) as process:
        yield Child(process)


@asynccontextmanager
async def running(
    command: list[str], environment: Mapping[str, str], *, talks: bool = False, log: Path | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process until the block ends: then it is told to stop, and killed when it does not."""
    pipe = asyncio.subprocess.PIPE if talks else asyncio.subprocess.DEVNULL
    output: Any = log.open("ab") if log else (asyncio.subprocess.PIPE if talks else None)
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=pipe,
        stdout=output,
        stderr=output if log else None,
        env={**os.environ, **environment},
        cwd=ROOT,
        limit=LINE_BYTES,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def answer_questions(answers: Answers) -> None:
    """The child's side: answers one line of standard input after the other until it ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        asked = orjson.loads(line)
        result = await answers[asked.pop("question")](asked)
        sys.stdout.buffer.write(orjson.dumps(result) + b"\n")
        sys.stdout.buffer.flush()


def cpu_s(pid: int) -> float:
    """Seconds of CPU (user and system) that the process has used so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """The process and everything below it (Linux)."""
    found = [pid]
    for one in found:
        try:
            tasks = Path(f"/proc/{one}/task").iterdir()
            found += [int(kid) for task in tasks for kid in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def memory_mb(pid: int) -> float:
    """Resident memory of the process tree, shared pages counted once (PSS, Linux)."""
    total = 0
    for one in tree(pid):
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 1024
