"""The credits consumer as it runs: from Kafka to the ledger."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from consumers.credits import app
from contracts import topics
from infra.kafka.log import LogReader
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from tests.consumers.credits.conftest import Ledger
from tests.consumers.credits.records import grant, usage
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.kafka import started_producer


@asynccontextmanager
async def running(ledger: Ledger, kafka: KafkaOptions, producer: Producer) -> AsyncIterator[None]:
    """The consumer, stopped in order at the end."""
    stop = asyncio.Event()
    consumer = app.build(ledger.database, kafka=kafka, producer=producer, clock=ledger.clock)
    role = asyncio.create_task(consumer.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(role, 15)


async def test_facts_on_kafka_are_booked_once_whatever_is_sent_or_restarted(
    ledger: Ledger, kafka: KafkaOptions, clock: FakeClock
) -> None:
    granted = grant("g")
    used = [usage(f"u{n}", 100, organization=f"org_{n % 2}") for n in range(50)]
    other = usage("u0", 999, organization="org_0")

    async def booked(count: int) -> bool:
        return (await ledger.counts())["ledger_transactions"] == count

    async with started_producer(kafka) as producer:
        for number in range(2):
            values = [one.value for one in used if one.envelope.organization == f"org_{number}"]
            await producer.send(topics.USAGE, f"org_{number}", [*values[:3], b"{", *values[3:], *values])
        async with running(ledger, kafka, producer):
            await producer.send(topics.CREDITS, "org_1", [granted.value])
            await eventually(lambda: booked(51))
        await producer.send(topics.USAGE, "org_0", [used[0].value, other.value])
        await producer.send(topics.USAGE, "org_0", [usage("last", organization="org_0").value])
        async with running(ledger, kafka, producer):
            await eventually(lambda: booked(52))
        reader = LogReader(kafka)
        parked = await eventually(lambda: _reasons(reader))
        await reader.close()
    assert sorted(parked) == ["identity_conflict", "unreadable_record", "unreadable_record"]
    assert (await ledger.balance("org_1"))[:3] == (75_000_000, 0, 0)
    assert (await ledger.balance("org_0")).debt_micros == 35_000_000


async def _reasons(reader: LogReader) -> list[str]:
    found: list[str] = []
    for partition in await reader.first_offsets(topics.DEAD_LETTERS):
        async for record in reader.scan(topics.DEAD_LETTERS, partition):
            found += [dict(record.headers)["reason"].decode()]
    return found
