"""Faults of engines that are there and refuse: too few replicas, full disks, transactions that cannot be serial.

Each lasts until it was felt (`run.felt` counts that), and a moment longer.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import asyncpg
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from contracts import topics
from contracts.errors import Unavailable
from infra.app.compose import kafka_options
from infra.embedded.kafka import KafkaNode
from infra.kafka.admin import admin_client
from tests.conftest import dsn_of
from tests.faults.run import Run
from tests.faults.world import POSTGRES_AWAY
from tests.support.eventually import eventually

FELT_S: Final = 20.0
AGAIN_S: Final = 60.0
STORM_S: Final = 1.5
NO_SPACE: Final = "No space left on device"
END_SESSIONS: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
OPPOSITE: Final = (
    "UPDATE ledger_progress SET next_offset = next_offset",
    "UPDATE ledger_heads SET level = level",
)
"""What a batch locks, last things first; nothing is changed by it."""
STORMS: Final = (
    ("deadlock_timeout", "200ms", "deadlock detected"),
    ("default_transaction_isolation", "serializable", "could not serialize access"),
)
"""What the hub's sessions are set to, and what the server then says of them.

A session looks for a deadlock once, so long after it began to wait: long enough for the competitor to wait, too.
"""


async def too_few_replicas(run: Run, nodes: Sequence[KafkaNode]) -> None:
    """One node of a cluster is gone and the topic wants all: NOT_ENOUGH_REPLICAS to whoever produces usage."""
    *others, node = nodes
    await node.kill()
    await eventually(lambda: _replicas_wanted(run, run.world.kafka_replication), within_s=AGAIN_S, every_s=0.5)
    # Before the dead one is out of the in-sync replicas, brokers only wait for it.
    if await felt(run, lambda: any(says(other.log, 0, "NotEnoughReplicasException") for other in others)):
        await refuses(run, "too few replicas", 2)
    await node.start()


async def _replicas_wanted(run: Run, count: int) -> bool:
    """Whether the broker took the topic's new `min.insync.replicas`."""
    options = kafka_options(run.hub.settings)
    wanted = {  # all of them: what is not named here goes back to the broker's default
        "min.insync.replicas": str(count),
        "retention.ms": str(topics.USAGE.retention_ms),
        "retention.bytes": "-1",
        "max.message.bytes": str(topics.USAGE.max_message_bytes),
    }
    resource = ConfigResource(ConfigResourceType.TOPIC, options.name(topics.USAGE), wanted)
    with contextlib.suppress(Unavailable):
        async with admin_client(options, deadline_s=10) as client:
            answers = await client.alter_configs([resource])
            return all(found[0] == 0 for answer in answers for found in answer.resources)
    return False


async def kafka_disk_full(run: Run, chance: random.Random) -> None:
    """Kafka cannot write and ends itself; there is room again before whoever runs it starts it."""
    server = run.world.engines.kafka
    async with run.world.one_engine:
        with _filled(run, "kafka"):
            if await felt(run, lambda: not server.running):
                await refuses(run, "Kafka's disk full", chance.uniform(0, 2))
        await server.kill()
        await server.start()


async def postgres_disk_full(run: Run, chance: random.Random) -> None:
    """PostgreSQL cannot write: ingest goes on, consumers wait."""
    server = run.world.engines.postgres
    async with run.world.one_engine:
        said, accepted = server.log.stat().st_size, len(run.record.accepted)
        with _filled(run, "postgres"):
            if await felt(run, lambda: says(server.log, said, NO_SPACE) and len(run.record.accepted) > accepted):
                run.felt["PostgreSQL's disk full"] += 1
            await asyncio.sleep(chance.uniform(1, 3))
        if not server.running:
            await server.start()


@contextlib.contextmanager
def _filled(run: Run, engine: str) -> Iterator[None]:
    disk = run.world.disks[engine]
    disk.fill()
    try:
        yield
    finally:
        disk.empty()


async def refuses(run: Run, name: str, more_s: float) -> None:
    """Waits until the API has answered 503 twice; from then on nothing may be accepted, for as long as this lasts."""
    before = _refused(run)
    if await felt(run, lambda: _refused(run) > before + 1):
        run.felt[name] += 1
        accepted = len(run.record.accepted)
        await asyncio.sleep(more_s)
        if late := len(run.record.accepted) - accepted:
            run.problems.append(f"{late} events were accepted by Kafka with {name}")


def _refused(run: Run) -> int:
    return run.record.answers.get("503", 0) + run.record.answers.get("refused", 0)


async def felt(run: Run, condition: Callable[[], bool]) -> bool:
    """Whether it came in time, with the load going on."""
    with contextlib.suppress(AssertionError):
        return await eventually(condition, within_s=FELT_S, every_s=0.05)
    return False


def says(log: Path, since: int, *words: str) -> bool:
    """Whether all these words stand in the log behind this place."""
    with log.open("rb") as lines:
        lines.seek(since)
        found = lines.read()
    return all(word.encode() in found for word in words)


async def connections_taken(run: Run, _chance: random.Random) -> None:
    """The database takes no new connection for two seconds, and half of those that it has are ended."""
    log = run.world.engines.postgres.log
    async with run.world.one_engine:
        since = log.stat().st_size
        await as_admin(run, f"ALTER DATABASE {run.hub.name} CONNECTION LIMIT 1")
        await as_admin(run, END_SESSIONS + " AND pid % 2 = 0", run.hub.name)
        await asyncio.sleep(2)
        run.felt["connection limit"] += await felt(run, lambda: says(log, since, "too many connections for database"))
        await eventually(
            lambda: as_admin(run, f"ALTER DATABASE {run.hub.name} CONNECTION LIMIT -1"), within_s=AGAIN_S, every_s=0.5
        )


async def as_admin(run: Run, sql: str, *values: str) -> bool:
    """Whether the server did it: it may be away itself."""
    try:
        async with asyncio.timeout(10):
            admin = await asyncpg.connect(run.world.engines.postgres_dsn)
            try:
                await admin.execute(sql, *values)
            finally:
                await admin.close()
    except POSTGRES_AWAY:
        return False
    return True


async def serialisation_storm(run: Run, _chance: random.Random) -> None:
    """A competitor writes first what a batch writes last: the hub's sessions meet 40P01, then 40001.

    One organization in a batch is enough for that. In the order of heads alone two sessions can only deadlock where
    a batch holds several: hardly ever, when consumers share few organizations out among themselves.
    """
    for setting, value, said in STORMS:
        async with run.world.one_engine:
            await _storm(run, setting, value, said)


async def _storm(run: Run, setting: str, value: str, said: str) -> None:
    log, name = run.world.engines.postgres.log, run.hub.name
    since = log.stat().st_size
    try:
        await as_admin(run, f"ALTER DATABASE {name} SET {setting} = '{value}'")
        await as_admin(run, END_SESSIONS, name)
        with contextlib.suppress(*POSTGRES_AWAY):
            async with asyncio.timeout(FELT_S):
                await _compete(run, lambda: says(log, since, said))
            run.felt[said] += 1
    finally:
        reset = f"ALTER DATABASE {name} RESET {setting}"
        await eventually(lambda: as_admin(run, reset), within_s=AGAIN_S, every_s=0.5)
        await as_admin(run, END_SESSIONS, name)


async def _compete(run: Run, is_felt: Callable[[], bool]) -> None:
    """For a moment, and until the hub's sessions have met the failure; the competitor never does.

    A session that looked for a deadlock just before the competitor waited for it, too, does not look again: then the
    competitor lets go.
    """
    loop = asyncio.get_running_loop()
    competitor, ends = await asyncpg.connect(dsn_of(run.world.engines, run.hub.name)), loop.time() + STORM_S
    try:
        await competitor.execute("SET deadlock_timeout = '30s'; SET lock_timeout = '1s'")
        while loop.time() < ends or not is_felt():
            with contextlib.suppress(asyncpg.LockNotAvailableError):
                async with competitor.transaction(isolation="read_committed"):
                    for rows in OPPOSITE:
                        await competitor.execute(rows)
                        await asyncio.sleep(0.05)
    finally:
        await competitor.close(timeout=5)
