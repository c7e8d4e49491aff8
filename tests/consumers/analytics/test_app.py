"""The consumer on real Kafka: two at once, a lost sink, a server that goes away."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from consumers.analytics.app import build
from contracts import catalog, topics
from contracts.envelope import Envelope
from infra.clickhouse import facts
from infra.clickhouse.client import ClickHouse
from infra.clickhouse.migrate import migrate
from infra.kafka.log import LogReader
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.kafka.subscriber import Tuning
from tests.clickhouse.test_http import start
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.kafka import started_producer, whole_log
from tests.support.usage import NOON, usage

ORGANIZATIONS = tuple(f"org_{number}" for number in range(12))


@pytest.fixture
async def producer(kafka: KafkaOptions) -> AsyncIterator[Producer]:
    async with started_producer(kafka) as started:
        yield started


async def publish(producer: Producer, envelopes: Sequence[Envelope]) -> None:
    for organization in ORGANIZATIONS:
        values = [catalog.encode(envelope) for envelope in envelopes if envelope.organization == organization]
        if values:
            await producer.send(topics.USAGE, organization, values)


def told(count: int) -> list[Envelope]:
    """Events of twelve organizations; every third comes again with another time, every fifth as it was."""
    found = []
    for number in range(count):
        record = usage(f"e{number}", number, organization=ORGANIZATIONS[number % 12])
        found.append(record.envelope)
        if number % 3 == 0:
            found.append(record.envelope.model_copy(update={"time": NOON - timedelta(days=number % 70)}))
        if number % 5 == 0:
            found.append(record.envelope)
    return found


@asynccontextmanager
async def consuming(
    clickhouse: ClickHouse, kafka: KafkaOptions, producer: Producer, *, members: int = 1
) -> AsyncIterator[None]:
    """So many members of the group, until the block ends."""
    stop, clock, tuning = asyncio.Event(), FakeClock(), Tuning(max_records=50)
    built = [build(clickhouse, kafka=kafka, producer=producer, clock=clock, tuning=tuning) for _ in range(members)]
    running = [asyncio.create_task(one.run(stop)) for one in built]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*running)


async def counted(clickhouse: ClickHouse) -> tuple[int, int]:
    found = await clickhouse.query(
        "SELECT count() AS n, uniqExact(organization_id, source, event_id) AS ids FROM usage"
    )
    assert found[0]["n"] == found[0]["ids"]
    return found[0]["n"], found[0]["ids"]


async def all_read(clickhouse: ClickHouse, kafka: KafkaOptions) -> bool:
    """Whether the sink has got to the end of every partition."""
    reader = LogReader(kafka)
    ends = await reader.end_offsets(topics.USAGE)
    await reader.close()
    rows = await clickhouse.query(
        "SELECT partition, next_offset FROM sink_progress FINAL WHERE topic = 'aihub.usage.v1'"
    )
    done = {row["partition"]: row["next_offset"] for row in rows}
    return all(done.get(partition, 0) == end for partition, end in ends.items())


async def test_two_members_count_each_identity_once_also_while_they_are_at_it(
    clickhouse: ClickHouse, kafka: KafkaOptions, producer: Producer
) -> None:
    async with consuming(clickhouse, kafka, producer, members=2):
        await publish(producer, told(300))

        async def done() -> bool:
            await counted(clickhouse)
            return await all_read(clickhouse, kafka)

        await eventually(done, within_s=40)
    assert await counted(clickhouse) == (300, 300)


async def test_a_sink_that_lost_everything_is_written_again_whatever_kafka_has_committed(
    clickhouse: ClickHouse, kafka: KafkaOptions, producer: Producer
) -> None:
    await publish(producer, told(60))
    for _ in range(2):
        async with consuming(clickhouse, kafka, producer):
            await eventually(lambda: all_read(clickhouse, kafka), within_s=30)
        assert await counted(clickhouse) == (60, 60)
        for table in ("usage_facts", "usage_identities", "charge_facts", "sink_progress"):
            await clickhouse.command(f"TRUNCATE TABLE {table}")


async def test_a_server_that_goes_away_is_waited_for_and_nothing_is_lost(
    kafka: KafkaOptions, producer: Producer, tmp_path: Path
) -> None:
    process, url = await asyncio.to_thread(start, tmp_path)
    clickhouse = ClickHouse.open_http(url, "outage")
    await migrate(clickhouse)
    events = told(120)
    async with consuming(clickhouse, kafka, producer):
        await publish(producer, events[:60])
        await eventually(lambda: all_read(clickhouse, kafka), within_s=30)
        process.kill()
        process.communicate()
        await publish(producer, events[60:])
        process, _ = await asyncio.to_thread(start, tmp_path, int(url.rsplit(":", 1)[1]))
        await eventually(lambda: all_read(clickhouse, kafka), within_s=40)
    assert await counted(clickhouse) == (120, 120)
    await clickhouse.close()
    process.kill()
    process.communicate()


async def test_a_crash_between_the_sinks_progress_and_the_dead_letters_loses_none_of_them(
    clickhouse: ClickHouse, kafka: KafkaOptions, producer: Producer
) -> None:
    events = [usage(f"e{number}", number, organization="org_1").envelope for number in range(5)]
    events[3] = events[3].model_copy(update={"time": NOON.replace(year=2300)})
    await publish(producer, events)
    reader = LogReader(kafka, cache_s=0)
    ends = await reader.end_offsets(topics.USAGE)
    await reader.close()
    (partition,) = [number for number, end in ends.items() if end == 5]
    # What a process leaves that dies there: progress behind the record, no dead letter, no commit.
    await facts.save_progress(clickhouse, {("aihub.usage.v1", partition): (5, 0)})

    async def parked() -> bool:
        return len(await whole_log(kafka, topics.DEAD_LETTERS)) == 1

    async with consuming(clickhouse, kafka, producer):
        await eventually(parked, within_s=30)
    assert await counted(clickhouse) == (4, 4)
