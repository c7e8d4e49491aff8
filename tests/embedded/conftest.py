"""Servers for these tests, and bounded waiting for processes."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.embedded.engines import EmbeddedOptions, Engines, start_engines
from infra.embedded.jars import kafka_jars

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def jars() -> list[Path]:
    """Kafka's class path."""
    return kafka_jars()


@pytest.fixture(scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engines]:
    """Kafka and PostgreSQL of a module's own, to be killed at will."""
    options = EmbeddedOptions(home=tmp_path_factory.mktemp("servers"), clickhouse=False)
    async with start_engines(options) as engines:
        yield engines


class Stack:
    """The whole stack in a process of its own; `told` is what it said when it was up."""

    def __init__(self, process: asyncio.subprocess.Process, told: dict[str, Any]) -> None:
        self.process = process
        self.told = told

    async def end(self) -> int:
        """Let it stop in order; its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return await asyncio.wait_for(self.process.wait(), 30)


@asynccontextmanager
async def stack(home: Path, *sql: str) -> AsyncIterator[Stack]:
    """Run tests.embedded.stack on `home`; whatever happens, it is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.embedded.stack", str(home), *sql),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        yield Stack(process, json.loads(line))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    try:
        return not stat.parent.parent.is_dir() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
