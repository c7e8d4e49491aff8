"""Two members as one role, on a real broker."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from consumers.batch import Batch, Handler, Record
from consumers.crew import Crew
from contracts.errors import DatabaseUnavailable
from infra.kafka.admin import admin_client
from infra.kafka.options import KafkaOptions
from infra.kafka.predecessor import dismiss_predecessor
from infra.kafka.producer import Producer
from infra.telemetry import metrics
from tests.consumers.runtime.conftest import Build, Collector, Committed
from tests.consumers.runtime.members import publish
from tests.consumers.runtime.test_predecessors import leave_dead_members
from tests.support.eventually import eventually

BuildCrew = Callable[[Handler[Record]], Crew[Record]]


@pytest.fixture
def named(kafka: KafkaOptions) -> KafkaOptions:
    """A process with a name: its members dismiss predecessors."""
    return replace(kafka, instance="credits-1")


@pytest.fixture
def crew_of(build: Build, named: KafkaOptions) -> BuildCrew:
    def make(handler: Handler[Record]) -> Crew[Record]:
        first = build(handler, kafka=named, max_records=50)
        return Crew((first, build(handler, kafka=named, max_records=50, beside=first)))

    return make


async def _settled(crew: Crew[Record]) -> None:
    """Both members have partitions."""
    await eventually(lambda: crew.is_shared_out, within_s=30)


async def test_both_members_work_at_once_and_each_partition_stays_in_order(
    crew_of: BuildCrew, producer: Producer, committed: Committed
) -> None:
    handled, at_work, most, tried = Collector(), 0, 0, set[int]()

    async def handler(batch: Batch[Record]) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        first = batch.records[0].offset
        if first % 3 == 0 and first not in tried:
            tried.add(first)
            at_work -= 1
            raise DatabaseUnavailable("PostgreSQL is away")
        await asyncio.sleep(0.01)
        at_work -= 1
        await handled(batch)

    crew, stop = crew_of(handler), asyncio.Event()
    role = asyncio.create_task(crew.run(stop))
    await _settled(crew)
    sent = await publish(producer, range(1200))
    await eventually(lambda: len(handled.ids) >= 1200, within_s=60)
    await eventually(lambda: crew.progress.processed == 1200)
    stop.set()
    await role
    assert most == 2
    assert set(handled.ids) == sent
    for partition in range(3):
        offsets = [offset for number, offset in handled.places if number == partition]
        assert offsets == list(range(len(offsets)))
    assert await committed() == 1200


async def test_health_is_told_of_both_members_together(crew_of: BuildCrew, producer: Producer) -> None:
    go = asyncio.Event()

    async def held(_batch: Batch[Record]) -> None:
        await go.wait()

    crew, stop = crew_of(held), asyncio.Event()
    role = asyncio.create_task(crew.run(stop))
    await _settled(crew)
    await publish(producer, range(300))
    await eventually(lambda: crew.progress.total_lag == 300)
    told = {"consumer": crew.name}
    behind = [
        metrics.REGISTRY.get_sample_value(
            "aihub_consumer_lag_records", told | {"topic": crew.topics[0].name, "partition": str(number)}
        )
        for number in range(3)
    ]
    assert sum(value or 0 for value in behind) == 300
    go.set()
    await eventually(lambda: crew.progress.total_lag == 0 and crew.progress.processed == 300)
    stop.set()
    await role


async def test_a_bug_in_one_member_stops_both_and_comes_out(crew_of: BuildCrew, producer: Producer) -> None:
    async def handler(_batch: Batch[Record]) -> None:
        raise KeyError("a bug")

    crew = crew_of(handler)
    await publish(producer, range(300))
    with pytest.raises(KeyError, match="a bug"):
        async with asyncio.timeout(30):
            await crew.run(asyncio.Event())
    assert crew.progress.failed == "KeyError('a bug')"


async def test_members_of_one_process_leave_each_other_in_the_group(
    crew_of: BuildCrew, named: KafkaOptions, group: str
) -> None:
    crew, stop = crew_of(Collector()), asyncio.Event()
    role = asyncio.create_task(crew.run(stop))
    await _settled(crew)
    before = [member._member.assignments for member in crew.members]
    async with admin_client(named) as client:
        (answer,) = await client.describe_consumer_groups([named.group(group)])
    assert sorted(member[1] for member in answer.groups[0][5]) == ["aihub-credits-1", "aihub-credits-1+1"]
    assert await dismiss_predecessor(named.member(2), group) == 0
    assert [member._member.assignments for member in crew.members] == before
    stop.set()
    await role


async def test_the_crew_of_a_killed_process_is_succeeded_at_once(
    crew_of: BuildCrew, producer: Producer, named: KafkaOptions, group: str
) -> None:
    await leave_dead_members(group, named, named.member(1))
    sent = await publish(producer, range(300))
    handled, stop = Collector(), asyncio.Event()
    role = asyncio.create_task(crew_of(handled).run(stop))
    await eventually(lambda: set(handled.ids) == sent, within_s=8)
    stop.set()
    await role
