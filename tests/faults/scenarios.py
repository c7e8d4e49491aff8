"""Scenarios with a name: one kind of fault each, bigger than a plan."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from infra.app.reach import direct_hub
from infra.embedded.jars import kafka_jars
from infra.embedded.kafka_cluster import KafkaCluster, start_cluster
from tests.faults import disturb, refusals
from tests.faults.books import READERS, Verdict
from tests.faults.client import Mix
from tests.faults.disks import small_disks
from tests.faults.driver import skewed_clocks
from tests.faults.healing import AFTERWARDS
from tests.faults.run import Run, under_load
from tests.faults.world import PARTITIONS, World, install

SESSION_MS: Final = 3_000
NODES: Final = 3

Ended = tuple[dict[str, Any], bool]
Scenario = Callable[[World, int], Awaitable[Ended]]


def _ended(run: Run, verdict: Verdict, seed: int) -> Ended:
    return run.result(verdict, seed), verdict.good


async def replay(world: World, seed: int) -> Ended:
    """Every group goes back to offset 0, and all that ever was is read again."""
    hub = await install(world, session_ms=SESSION_MS)
    async with under_load(world, hub, seed, Mix()) as run:
        await run.accept(200)
        first = await run.end()
        for role in ("credits", "analytics", "webhooks", "audit", "deadletters"):
            await run.terminate_role(role, again=False)
        await _forget_offsets(run)
        for role in ("credits", "analytics", "webhooks", "audit", "deadletters"):
            await run.hub.start(role)
        run.faults["replay from offset 0"] += 1
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
            await run.accept(200)
            await asyncio.gather(*(run.terminate_role(role) for role in list(hub.roles)))
            run.faults["terminated"] += 1
        verdict = await run.end()
        return _ended(run, verdict, seed)


async def clock_skew(world: World, seed: int) -> Ended:
    """Every role's machine has a clock of its own, minutes off; dispatchers and consumers are killed meanwhile."""
    hub = await install(world, session_ms=SESSION_MS)
    hub.skews = skewed_clocks(seed)
    async with under_load(world, hub, seed, Mix(requests_s=8)) as run:
        run.faults["clock skew"] += 1
        await run.accept(60)
        for role in ("deliveries", "webhooks", "credits", "api"):
            await run.heal(await run.kill_role(role))
        return _ended(run, await run.end(), seed)


async def successors(world: World, seed: int) -> Ended:
    """Consumers are killed, with the product's own session of 10 s: their successors must not wait for its end."""
    hub = await install(world)
    async with under_load(world, hub, seed, Mix(requests_s=8)) as run:
        await run.accept(40)
        for role in 4 * ("credits", "analytics", "webhooks"):
            await run.heal(await run.kill_role(role))
        return _ended(run, await run.end(), seed)


@asynccontextmanager
async def clustered(world: World, seed: int) -> AsyncIterator[tuple[Run, KafkaCluster]]:
    """A run on three Kafka nodes, two of which acks=all waits for, in this world."""
    alone = world.bootstrap, world.kafka_replication
    async with start_cluster(world.home / f"cluster-{seed}", kafka_jars(), nodes=NODES) as cluster:
        world.bootstrap, world.kafka_replication = cluster.bootstrap, NODES
        try:
            hub = await install(world, session_ms=SESSION_MS)
            async with under_load(world, hub, seed, Mix(requests_s=8)) as run:
                await run.accept(40)
                yield run, cluster
        finally:
            world.bootstrap, world.kafka_replication = alone


async def too_few_replicas(world: World, seed: int) -> Ended:
    """The topic wants as many replicas as there are nodes, and one is gone: reachable, but refusing."""
    async with clustered(world, seed) as (run, cluster):
        run.kills["kafka"] += 1
        await refusals.too_few_replicas(run, cluster.nodes)
        await run.heal(run.healing.wound(AFTERWARDS))
        return _ended(run, await run.end(), seed)


async def leader_lost(world: World, seed: int) -> Ended:
    """Each of three Kafka nodes is killed in turn, then two at once."""
    async with clustered(world, seed) as (run, cluster):
        for node in cluster.nodes:
            wound = run.healing.wound("kafka")
            run.kills["kafka"] += 1
            await node.kill()
            await run.heal(wound)
            await node.start()
            await run.accept(60)
        wound = run.healing.wound("kafka")
        run.kills["kafka"] += 2
        run.faults["one of three nodes"] += 1
        await asyncio.gather(*(node.kill() for node in cluster.nodes[1:]))
        await refusals.refuses(run, "one of three nodes", 2)
        await asyncio.gather(*(node.start() for node in cluster.nodes[1:]))
        await run.heal(wound, 90)
        return _ended(run, await run.end(), seed)


async def full_disks(world: World, seed: int) -> Ended:
    """Kafka's disk is full, then PostgreSQL's; each time there is room again after a while. Needs root."""
    async with small_disks(world.engines) as world.disks:
        hub = await install(world, session_ms=SESSION_MS)
        async with under_load(world, hub, seed, Mix(requests_s=8)) as run:
            await run.accept(40)
            await disturb.each(run, disturb.FULL_DISKS, random.Random(seed))
            verdict = await run.end()
            return _ended(run, verdict, seed)


async def cut_off(world: World, seed: int) -> Ended:
    """Each engine is cut off from everything else for a while. Needs a network of the run's own."""
    assert world.has_network, "the machine's own network must not be cut"
    hub = await install(world, session_ms=SESSION_MS)
    async with under_load(world, hub, seed, Mix(requests_s=8)) as run:
        await run.accept(40)
        await disturb.each(run, disturb.CUTS, random.Random(seed))
        return _ended(run, await run.end(), seed)


def only(name: str) -> Scenario:
    """One kind of disturbance, three times."""

    async def scenario(world: World, seed: int) -> Ended:
        hub, chance = await install(world, session_ms=SESSION_MS), random.Random(seed)
        async with under_load(world, hub, seed, Mix(requests_s=8)) as run:
            await run.accept(40)
            for _ in range(3):
                await disturb.each(run, {name: disturb.DISTURBANCES[name]}, chance)
            return _ended(run, await run.end(), seed)

    return scenario


SCENARIOS: Final[dict[str, Scenario]] = {
    "replay": replay,
    "drain": drain,
    "clock_skew": clock_skew,
    "successors": successors,
    "full_disks": full_disks,
    "cut_off": cut_off,
    "too_few_replicas": too_few_replicas,
    "leader_lost": leader_lost,
    **{name: only(name) for name in disturb.DISTURBANCES},
}
