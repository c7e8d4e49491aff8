"""A process that was killed leaves a member behind: its successor does not wait until that one's session ends."""

import asyncio
from dataclasses import replace

from aiokafka import AIOKafkaConsumer

from contracts.topics import USAGE
from infra.kafka.admin import admin_client
from infra.kafka.options import KafkaOptions
from infra.kafka.predecessor import dismiss_predecessor
from infra.kafka.producer import Producer
from infra.kafka.subscriber import Tuning
from tests.consumers.runtime.conftest import Build, Collector, Committed
from tests.consumers.runtime.members import publish
from tests.support.eventually import eventually
from tests.support.kafka import running

LONG_MS = 60_000


async def leave_a_dead_member(options: KafkaOptions, group: str) -> None:
    """A member of the group that is gone without a word, with a session of a minute."""
    await leave_dead_members(group, options)


async def leave_dead_members(group: str, *members: KafkaOptions) -> None:
    """So many of them, who have known each other."""
    consumers = [
        AIOKafkaConsumer(
            options.name(USAGE),
            group_id=options.group(group),
            session_timeout_ms=LONG_MS,
            rebalance_timeout_ms=LONG_MS,
            heartbeat_interval_ms=200,
            **options.client_arguments(),
        )
        for options in members
    ]
    for consumer in consumers:
        await consumer.start()
        assert consumer.assignment()
    for consumer in consumers:
        consumer._coordinator._group_instance_id = "says nothing when it leaves"
        await consumer.stop()


async def test_the_successor_of_a_killed_process_has_its_partitions_at_once(
    build: Build, producer: Producer, kafka: KafkaOptions, group: str
) -> None:
    named = replace(kafka, instance="credits-1")
    await leave_a_dead_member(named, group)
    sent = await publish(producer, range(300))
    handled = Collector()
    async with running(build(handler=handled, kafka=named)):
        await eventually(lambda: set(handled.ids) == sent, within_s=5)


async def test_a_stop_does_not_wait_until_the_session_of_a_dead_member_has_ended(
    build: Build, kafka: KafkaOptions, group: str
) -> None:
    await leave_a_dead_member(kafka, group)
    stop = asyncio.Event()
    role = asyncio.create_task(build(Collector()).run(stop))
    async with admin_client(kafka) as client:

        async def joins() -> bool:
            (answer,) = await client.describe_consumer_groups([kafka.group(group)])
            return bool(answer.groups[0][2] == "PreparingRebalance")

        await eventually(joins)
    stop.set()
    async with asyncio.timeout(15):
        await role


async def test_members_of_other_names_are_left_alone(kafka: KafkaOptions, group: str) -> None:
    await leave_a_dead_member(replace(kafka, instance="credits-1"), group)
    assert await dismiss_predecessor(kafka, group) == 0
    assert await dismiss_predecessor(replace(kafka, instance="credits-2"), group) == 0
    assert await dismiss_predecessor(replace(kafka, instance="credits-1"), group) == 1
    assert await dismiss_predecessor(replace(kafka, instance="credits-1"), group) == 0


async def test_a_predecessor_that_is_alive_after_all_joins_again(
    build: Build, producer: Producer, kafka: KafkaOptions, committed: Committed
) -> None:
    named, first, second = replace(kafka, instance="credits-1"), Collector(), Collector()
    quick = Tuning(heartbeat_interval_ms=200)
    async with running(build(handler=first, kafka=named, tuning=quick)):
        sent = await publish(producer, range(300))
        await eventually(lambda: set(first.ids) == sent)
        async with running(build(handler=second, kafka=named, tuning=quick)):

            async def both_have_some() -> bool:
                await publish(producer, range(300, 400))
                return set(second.ids) != set() and len(set(first.ids)) > len(sent)

            await eventually(both_have_some, within_s=20, every_s=0.1)
        sent |= await publish(producer, range(300, 400))
        await eventually(lambda: set(first.ids) | set(second.ids) == sent)

        async def all_are_committed() -> bool:
            return await committed() >= 500

        await eventually(all_are_committed)
