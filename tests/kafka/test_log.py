"""Reading the log outside of any group."""

import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from contracts.errors import BrokerUnavailable
from contracts.topics import CREDITS, USAGE
from infra.embedded.ports import free_ports
from infra.kafka.log import LogReader
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from tests.support.eventually import eventually
from tests.support.kafka import started_producer


@pytest.fixture
async def producer(kafka: KafkaOptions) -> AsyncIterator[Producer]:
    async with started_producer(kafka) as started:
        yield started


@pytest.fixture
async def reader(kafka: KafkaOptions) -> AsyncIterator[LogReader]:
    opened = LogReader(kafka)
    yield opened
    await opened.close()


async def test_end_offsets_follow_the_log(reader: LogReader, producer: Producer) -> None:
    placed = await producer.send(USAGE, "org_1", [b"1", b"2", b"3"])
    assert await reader.end_offset(USAGE, placed.partition) == 3
    assert sum((await reader.end_offsets(USAGE)).values()) == 3
    await producer.send(USAGE, "org_1", [b"4"])

    async def is_four() -> bool:
        return await reader.end_offset(USAGE, placed.partition) == 4

    await eventually(is_four)
    assert await reader.first_offsets(USAGE) == {0: 0, 1: 0, 2: 0}
    assert await reader.partitions(USAGE) == 3


async def test_a_key_is_looked_for_where_the_producer_puts_it(reader: LogReader, producer: Producer) -> None:
    await reader.partitions(USAGE)
    for number in range(20):
        placed = await producer.send(USAGE, f"org_{number}", [b"x"])
        assert reader.partition_of(f"org_{number}", USAGE) == placed.partition
        assert reader.partition_of(f"org_{number}") == placed.partition


async def test_a_search_finds_the_matching_records_of_its_key_only(reader: LogReader, producer: Producer) -> None:
    for number in range(300):
        await producer.send(USAGE, f"org_{number % 3}", [b"%d" % (number // 3)])
    found = await reader.find(USAGE, "org_1", 0, lambda record: record.value in (b"7", b"70"), limit=2)
    assert [record.value for record in found] == [b"7", b"70"]
    assert {record.key for record in found} == {b"org_1"}
    assert await reader.find(USAGE, "org_1", found[0].offset + 1, lambda record: record.value == b"7") == []


async def test_a_scan_reads_exactly_its_range(reader: LogReader, producer: Producer) -> None:
    placed = await producer.send(USAGE, "org_1", [b"%d" % number for number in range(5000)])
    scanned = [record.offset async for record in reader.scan(USAGE, placed.partition, 10, 4_990)]
    assert scanned == list(range(10, 4_990))
    assert len([record async for record in reader.scan(USAGE, placed.partition)]) == 5000
    assert [record async for record in reader.scan(CREDITS, 0)] == []


async def test_a_scan_that_is_broken_off_leaves_nothing_behind(reader: LogReader, producer: Producer) -> None:
    placed = await producer.send(USAGE, "org_1", [b"1", b"2", b"3"])
    async with aclosing(reader.scan(USAGE, placed.partition)) as records:
        async for record in records:
            assert record.value == b"1"
            break


async def test_a_group_that_never_committed_has_no_place(reader: LogReader, producer: Producer) -> None:
    placed = await producer.send(USAGE, "org_1", [b"1"])
    assert await reader.committed("nobody", USAGE, placed.partition) is None
    assert (await reader.lag("nobody", [USAGE]))[USAGE.name, placed.partition] == 1


async def test_no_broker_is_said_within_the_deadline() -> None:
    reader = LogReader(KafkaOptions(f"127.0.0.1:{free_ports(1)[0]}"))
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        await reader.end_offset(USAGE, 0)
    with pytest.raises(BrokerUnavailable):
        await reader.committed_offsets("group")
    assert time.monotonic() - began < 10
    await reader.close()
