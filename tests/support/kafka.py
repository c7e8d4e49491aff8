"""What tests of producers and consumers share: a started producer, events, a broker that goes and comes back."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from consumers.runtime import ConsumerApp
from contracts import catalog
from contracts.envelope import Envelope
from contracts.events.auth import UserLoggedInV1
from contracts.events.usage import UsageRecordedV1
from contracts.topics import Topic
from infra.embedded.engines import Engines
from infra.kafka.log import LogReader, LogRecord
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@asynccontextmanager
async def started_producer(options: KafkaOptions, **arguments: float) -> AsyncIterator[Producer]:
    """A producer that is stopped at the end."""
    producer = Producer(options, **arguments)  # type: ignore[arg-type]
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def broker_down(engines: Engines) -> AsyncIterator[None]:
    """The broker is stopped inside, and back on its port afterwards."""
    await engines.kafka.stop()
    try:
        yield
    finally:
        await engines.kafka.start()


@asynccontextmanager
async def running(*apps: ConsumerApp) -> AsyncIterator[None]:  # type: ignore[type-arg]
    """The consumers run inside; they are drained at the end, and their bugs come out here."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(app.run(stop)) for app in apps]
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks)


def usage(number: int, organization: str = "org_1", *, source: str = "/app", now: datetime = NOON) -> Envelope:
    """A usage event whose id is `evt_<number>`."""
    data = UsageRecordedV1.model_validate(UsageRecordedV1.EXAMPLE)
    return catalog.state(data, event_id=f"evt_{number}", source=source, organization=organization, now=now)


def login(number: int, organization: str = "org_1", *, user: str = "user_1", now: datetime = NOON) -> Envelope:
    """A log-in whose id is `log_<number>`."""
    data = UserLoggedInV1(user_id=user, actor=user, address="192.0.2.7")
    return catalog.state(data, event_id=f"log_{number}", source="/app", organization=organization, now=now)


def values(envelopes: Sequence[Envelope]) -> list[bytes]:
    """The envelopes as they stand on Kafka."""
    return [catalog.encode(envelope) for envelope in envelopes]


def chunks(items: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    """The items, `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


async def whole_log(options: KafkaOptions, topic: Topic) -> list[LogRecord]:
    """Every record of the topic, partition by partition."""
    reader = LogReader(options)
    try:
        found = []
        for partition in range(await reader.partitions(topic)):
            found += [record async for record in reader.scan(topic, partition)]
        return found
    finally:
        await reader.close()
