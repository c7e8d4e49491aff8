"""Faults that kill nothing of ours: storms, outages of connections, records that should not be."""

import asyncio
import contextlib
import random
import signal
from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg

from contracts import topics
from contracts.errors import Unavailable
from infra.app.reach import direct_hub
from tests.faults.run import Run

Disturbance = Callable[[Run, random.Random], Awaitable[None]]
READERS: Final = ("credits", "analytics", "webhooks")
_ENVELOPE: Final = (
    '{"specversion":"1.0","type":"%s","source":"/x","id":"1","organization":"org_acme",'
    '"time":"2026-01-01T00:00:00Z","acceptedat":"2026-01-01T00:00:00Z","data":%s}'
)
POISON: Final[tuple[bytes, ...]] = (
    b"\xff\xfe not json",
    b"[]",
    b'{"specversion": "1.0"}',
    (_ENVELOPE % ("usage.recorded.v99", "{}")).encode(),
    (_ENVELOPE % ("usage.recorded.v1", '{"service":"chat","input_tokens":-1}')).encode(),
)


async def rebalance_storm(run: Run, chance: random.Random) -> None:
    """More members join the groups and leave again, in order or not."""
    for _ in range(3):
        role = chance.choice(READERS)
        guest = await run.hub.spawn(role, instance=f"{role}-guest")
        await asyncio.sleep(chance.uniform(0.3, 1.5))
        if chance.random() < 0.5:
            await guest.kill()
        elif (code := await guest.terminate()) != 0:
            run.problems.append(f"a guest of {role} ended with {code} after SIGTERM")


async def backends_killed(run: Run, _chance: random.Random) -> None:
    """Every session of the database is ended, three times in a row."""
    for _ in range(3):
        await _as_admin(run, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", run.hub.name)
        await asyncio.sleep(0.2)


async def connections_taken(run: Run, _chance: random.Random) -> None:
    """The database takes no new connection for two seconds, and half of those that it has are ended."""
    async with run.world.one_engine:
        await _as_admin(run, f"ALTER DATABASE {run.hub.name} CONNECTION LIMIT 1")
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid % 2 = 0"
        await _as_admin(run, ended, run.hub.name)
        await asyncio.sleep(2)
        while not await _as_admin(run, f"ALTER DATABASE {run.hub.name} CONNECTION LIMIT -1"):
            await asyncio.sleep(0.5)


async def _as_admin(run: Run, sql: str, *values: str) -> bool:
    """Whether the server did it: it may be away itself."""
    try:
        async with asyncio.timeout(10):
            admin = await asyncpg.connect(run.world.engines.postgres_dsn)
            try:
                await admin.execute(sql, *values)
            finally:
                await admin.close()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        return False
    return True


async def clickhouse_hangs(run: Run, chance: random.Random) -> None:
    """The ClickHouse front answers nothing for a while; its connections stay open."""
    async with run.world.one_engine:
        front = run.world.front
        if front is not None:
            front.signal(signal.SIGSTOP)
            await asyncio.sleep(chance.uniform(2, 5))
            front.signal(signal.SIGCONT)


async def poison(run: Run, chance: random.Random) -> None:
    """Records that no ingress would write, straight into the topic."""
    with contextlib.suppress(Unavailable):
        async with direct_hub(run.hub.settings) as direct:
            values = chance.sample(POISON, len(POISON))
            placed = await direct.producer.send(topics.USAGE, chance.choice(["org_acme", "org_globex"]), values)
            run.poison += [(topics.USAGE.name, placed.partition, offset) for offset in placed.offsets]


DISTURBANCES: Final[dict[str, Disturbance]] = {
    "rebalance storm": rebalance_storm,
    "backends killed": backends_killed,
    "connection limit": connections_taken,
    "ClickHouse hangs": clickhouse_hangs,
    "poison": poison,
}
EVERY_S: Final[dict[str, tuple[float, float]]] = {
    "rebalance storm": (6, 15),
    "backends killed": (5, 15),
    "connection limit": (15, 30),
    "ClickHouse hangs": (15, 30),
    "poison": (4, 12),
}
