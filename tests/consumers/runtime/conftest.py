"""A consumer of usage events with a group of the test's own."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from consumers.batch import Batch, Handler, Record
from consumers.build import build_app
from consumers.runtime import ConsumerApp
from contracts.topics import USAGE
from infra.kafka.log import LogReader
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from tests.support.clock import FakeClock
from tests.support.kafka import started_producer

Build = Callable[..., ConsumerApp[Record]]
Committed = Callable[[], Awaitable[int]]


class Collector:
    """A handler that remembers what it handled."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.places: list[tuple[int, int]] = []

    async def __call__(self, batch: Batch[Record]) -> None:
        self.ids += [record.envelope.id for record in batch.records]
        self.places += [(record.partition, record.offset) for record in batch.records]


@pytest.fixture
async def producer(kafka: KafkaOptions) -> AsyncIterator[Producer]:
    async with started_producer(kafka) as started:
        yield started


@pytest.fixture
def group(kafka: KafkaOptions) -> str:
    return kafka.topics.prefix + "group"


@pytest.fixture
def build(kafka: KafkaOptions, producer: Producer, clock: FakeClock, group: str) -> Build:
    def make(handler: Handler[Record], **arguments: object) -> ConsumerApp[Record]:
        given = {"kafka": kafka, "producer": producer, "clock": clock} | arguments
        return build_app(group, (USAGE,), handler, **given)  # type: ignore[arg-type]

    return make


@pytest.fixture
async def committed(kafka: KafkaOptions, group: str) -> AsyncIterator[Committed]:
    """How many records the group has committed, all partitions together."""
    reader = LogReader(kafka, cache_s=0)

    async def count() -> int:
        return sum((await reader.committed_offsets(group)).values())

    yield count
    await reader.close()
