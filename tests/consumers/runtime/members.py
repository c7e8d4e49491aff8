"""What members of groups are given and have done."""

from collections.abc import Sequence

from contracts.topics import USAGE
from infra.kafka.producer import Producer
from infra.kafka.subscriber import Tuning
from tests.consumers.runtime.conftest import Build, Collector, Committed
from tests.support.eventually import eventually
from tests.support.kafka import running, usage, values

ORGANIZATIONS = [f"org_{number}" for number in range(12)]


QUICK = Tuning(heartbeat_interval_ms=200)


async def publish(producer: Producer, numbers: Sequence[int]) -> set[str]:
    """Events spread over all partitions; their ids."""
    for organization in ORGANIZATIONS:
        mine = [number for number in numbers if ORGANIZATIONS[number % len(ORGANIZATIONS)] == organization]
        await producer.send(USAGE, organization, values([usage(number, organization) for number in mine]))
    return {f"evt_{number}" for number in numbers}


async def all_committed(build: Build, count: int) -> None:
    """The group has handled and committed so many records."""
    handled = Collector()
    async with running(build(handled)):
        await eventually(lambda: len(handled.ids) == count)


async def all_of(committed: Committed, wanted: int) -> bool:
    return await committed() == wanted
