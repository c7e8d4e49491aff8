"""Faults that kill nothing of ours: storms, outages of connections, records that should not be."""

import asyncio
import contextlib
import random
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from contracts import topics
from contracts.errors import Unavailable
from infra.app.reach import direct_hub
from tests.faults import engines, refusals
from tests.faults.healing import AFTERWARDS
from tests.faults.refusals import as_admin
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
        await as_admin(run, refusals.END_SESSIONS, run.hub.name)
        await asyncio.sleep(0.2)


async def clickhouse_hangs(run: Run, chance: random.Random) -> None:
    """The ClickHouse front answers nothing for a while; its connections stay open."""
    async with run.world.one_engine:
        front = run.world.front
        if front is not None:
            front.signal(signal.SIGSTOP)
            await asyncio.sleep(chance.uniform(2, 8))
            front.signal(signal.SIGCONT)


async def poison(run: Run, chance: random.Random) -> None:
    """Records that no ingress would write, straight into the topic."""
    with contextlib.suppress(Unavailable):
        async with direct_hub(run.hub.settings) as direct:
            values = chance.sample(POISON, len(POISON))
            placed = await direct.producer.send(topics.USAGE, chance.choice(["org_acme", "org_globex"]), values)
            run.poison += [(topics.USAGE.name, placed.partition, offset) for offset in placed.offsets]


async def each(run: Run, disturbances: Mapping[str, Disturbance], chance: random.Random) -> None:
    """One after another; each is healed when an event that was accepted afterwards has arrived everywhere."""
    for name, disturbance in disturbances.items():
        run.faults[name] += 1
        await disturbance(run, chance)
        await run.heal(run.healing.wound(AFTERWARDS))


DISTURBANCES: Final[dict[str, Disturbance]] = {
    "rebalance storm": rebalance_storm,
    "backends killed": backends_killed,
    "connection limit": refusals.connections_taken,
    "serialisation storm": refusals.serialisation_storm,
    "ClickHouse hangs": clickhouse_hangs,
    "Kafka slow": engines.kafka_slow,
    "PostgreSQL slow": engines.postgres_slow,
    "poison": poison,
}
FULL_DISKS: Final[dict[str, Disturbance]] = {
    "Kafka's disk full": refusals.kafka_disk_full,
    "PostgreSQL's disk full": refusals.postgres_disk_full,
}
"""Where the engines have disks of their own (`World.disks`)."""
CUTS: Final[dict[str, Disturbance]] = {
    "Kafka cut off": engines.kafka_cut_off,
    "PostgreSQL cut off": engines.postgres_cut_off,
    "ClickHouse cut off": engines.clickhouse_cut_off,
}
"""Where the run has a network of its own (`World.has_network`)."""
EVERY_S: Final[dict[str, tuple[float, float]]] = {
    "rebalance storm": (6, 15),
    "backends killed": (5, 15),
    "connection limit": (15, 30),
    "serialisation storm": (15, 30),
    "ClickHouse hangs": (15, 30),
    "Kafka slow": (15, 30),
    "PostgreSQL slow": (15, 30),
    "poison": (4, 12),
    "Kafka cut off": (30, 60),
    "PostgreSQL cut off": (30, 60),
    "ClickHouse cut off": (20, 40),
    "Kafka's disk full": (30, 60),
    "PostgreSQL's disk full": (20, 40),
}
