"""Scenarios with a name: one kind of fault each, bigger than a plan."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from infra.app.reach import direct_hub
from infra.embedded.jars import kafka_jars
from infra.embedded.kafka_cluster import start_cluster
from tests.faults.books import READERS, Verdict
from tests.faults.client import Mix
from tests.faults.run import Run, under_load
from tests.faults.world import PARTITIONS, World, install, start_world

SESSION_MS: Final = 3_000
NODES: Final = 3

Ended = tuple[dict[str, Any], bool]
InWorld = Callable[[World, int], Awaitable[Ended]]
InOwnWorld = Callable[[Path, int], Awaitable[Ended]]


class Scenario(NamedTuple):
    """`in_world` uses a world that is there; `in_own_world` makes one."""

    in_world: Any
    in_own_world: Any = None

    @property
    def own_world(self) -> bool:
        return self.in_own_world is not None


def _ended(run: Run, verdict: Verdict, seed: int) -> Ended:
    return run.result(verdict, seed), verdict.good


async def replay(world: World, seed: int) -> Ended:
    """Every group goes back to offset 0, and all that ever was is read again."""
    hub = await install(world, session_ms=SESSION_MS)
    async with under_load(world, hub, seed, Mix()) as run:
        await asyncio.sleep(5)
        first = await run.end()
        for role in ("credits", "analytics", "webhooks", "audit", "deadletters"):
            await run.terminate_role(role, again=False)
        await _forget_offsets(run)
        for role in ("credits", "analytics", "webhooks", "audit", "deadletters"):
            await run.hub.start(role)
        run.faults["replay from offset 0"] += 1
        await asyncio.sleep(3)
        second = await run.end()
        second.lost += first.lost
        return _ended(run, second, seed)


async def _forget_offsets(run: Run) -> None:
    """Every group's offsets go to 0; analytics' own progress is forgotten, too."""
    async with direct_hub(run.hub.settings) as direct:
        for group, read in READERS.items():
            consumer = AIOKafkaConsumer(**direct.kafka.client_arguments(), group_id=group, enable_auto_commit=False)
            await consumer.start()
            places = [
                TopicPartition(direct.kafka.name(topic), number) for topic in read for number in range(PARTITIONS)
            ]
            consumer.assign(places)
            await consumer.commit(dict.fromkeys(places, 0))
            await consumer.stop()
            assert sum((await direct.log_reader.lag(group, read)).values()), f"{group} did not go back"
        await direct.clickhouse.command("TRUNCATE TABLE sink_progress")


async def drain(world: World, seed: int) -> Ended:
    """SIGTERM to every role under load, twice: each must exit with 0 within 15 s."""
    hub = await install(world, session_ms=SESSION_MS)
    async with under_load(world, hub, seed, Mix(requests_s=30)) as run:
        for _ in range(2):
            await asyncio.sleep(2)
            await asyncio.gather(*(run.terminate_role(role) for role in list(hub.roles)))
            run.faults["terminated"] += 1
        verdict = await run.end()
        return _ended(run, verdict, seed)


async def leader_lost(home: Path, seed: int) -> Ended:
    """Three Kafka nodes, two of which acks=all waits for: each is killed in turn, then two at once."""
    async with start_world(home) as world, start_cluster(home / "cluster", kafka_jars(), nodes=NODES) as cluster:
        world.bootstrap, world.kafka_replication = cluster.bootstrap, NODES
        hub = await install(world, session_ms=SESSION_MS)
        async with under_load(world, hub, seed, Mix(requests_s=8)) as run:
            await asyncio.sleep(2)
            for node in cluster.nodes:
                wound = run.healing.wound("kafka")
                run.kills["kafka"] += 1
                await node.kill()
                await run.heal(wound)
                await node.start()
                await asyncio.sleep(2)
            wound = run.healing.wound("kafka")
            run.kills["kafka"] += 2
            run.faults["too few replicas"] += 1
            await asyncio.gather(*(node.kill() for node in cluster.nodes[1:]))
            await asyncio.sleep(6)
            await asyncio.gather(*(node.start() for node in cluster.nodes[1:]))
            await run.heal(wound, 90)
            verdict = await run.end()
            return _ended(run, verdict, seed)


SCENARIOS: Final[dict[str, Scenario]] = {
    "replay": Scenario(replay),
    "drain": Scenario(drain),
    "leader_lost": Scenario(None, leader_lost),
}
