"""Faults of engines that run well but cannot be reached, or take very long for everything."""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.faults import network
from tests.faults.refusals import felt, refuses, says
from tests.faults.run import Run

STANDS_S: Final = 0.3
WORKS_S: Final = 0.05


async def kafka_cut_off(run: Run, chance: random.Random) -> None:
    """Nothing reaches Kafka, for longer than a session lasts: members are thrown out of their groups."""
    async with run.world.one_engine:
        with network.cut_off(run.world.engines.kafka.port):
            await refuses(run, "Kafka cut off", chance.uniform(0, 4))


async def postgres_cut_off(run: Run, chance: random.Random) -> None:
    """Nothing reaches PostgreSQL, which keeps open what was open: ingest goes on, the ledger waits."""
    async with run.world.one_engine:
        with network.cut_off(run.world.engines.postgres.port):
            await _waits(run, "PostgreSQL cut off", "credits", "PostgreSQL")
            await asyncio.sleep(chance.uniform(0, 4))


async def clickhouse_cut_off(run: Run, chance: random.Random) -> None:
    """Nothing reaches ClickHouse: analytics waits, up to the 30 s that a statement may take."""
    async with run.world.one_engine:
        with network.cut_off(run.world.clickhouse_port):
            run.felt["ClickHouse cut off"] += await _is_away(run.world.clickhouse_port)
            await asyncio.sleep(chance.uniform(4, 12))


async def _is_away(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return True
    writer.close()
    return False


async def _waits(run: Run, name: str, role: str, engine: str) -> None:
    """Until the role says that it waits for the engine."""
    log = run.hub.log(role)
    since = log.stat().st_size
    run.felt[name] += await felt(run, lambda: says(log, since, "consumer.waits", engine))


async def kafka_slow(run: Run, chance: random.Random) -> None:
    """Kafka stands still most of the time, as if each write waited for a slow disk."""
    await _slow(run, [run.world.engines.kafka.pid], chance.uniform(2, 6))


async def postgres_slow(run: Run, chance: random.Random) -> None:
    """PostgreSQL, all its sessions, likewise."""
    await _slow(run, [run.world.engines.postgres.pid], chance.uniform(2, 6))


async def _slow(run: Run, roots: Iterable[int | None], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    async with run.world.one_engine:
        ends = loop.time() + seconds
        while loop.time() < ends:
            stopped = [pid for root in roots if root is not None for pid in _tree(root)]
            try:
                _signal(stopped, signal.SIGSTOP)
                await asyncio.sleep(STANDS_S)
            finally:
                _signal(stopped, signal.SIGCONT)
            await asyncio.sleep(WORKS_S)


def _tree(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += [int(kid) for kid in (task / "children").read_text().split()]
    return found


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
