"""What is acknowledged stands in the log, where the receipt says."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from contracts.errors import BrokerUnavailable, Overloaded, TooLarge
from contracts.topics import USAGE, Topic
from infra.embedded.engines import Engines
from infra.embedded.ports import free_ports
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from tests.support.eventually import eventually
from tests.support.kafka import broker_down, started_producer, whole_log


@pytest.fixture
async def producer(kafka: KafkaOptions) -> AsyncIterator[Producer]:
    async with started_producer(kafka) as started:
        yield started


async def test_values_of_one_key_stand_together_in_order(producer: Producer, kafka: KafkaOptions) -> None:
    values = [b"value %d" % number for number in range(500)]
    placed = await producer.send(USAGE, "org_1", values, [("content-type", b"text/plain")])
    log = {(record.partition, record.offset): record for record in await whole_log(kafka, USAGE)}
    assert [log[placed.partition, offset].value for offset in placed.offsets] == values
    assert placed.offsets == list(range(placed.offset, placed.offset + 500))
    assert placed.count == 500
    first = log[placed.partition, placed.offset]
    assert (first.key, first.headers) == (b"org_1", (("content-type", b"text/plain"),))


async def test_every_send_of_many_at_once_gets_its_own_place(producer: Producer, kafka: KafkaOptions) -> None:
    async def send(number: int) -> tuple[int, int, list[bytes]]:
        values = [b"%d/%d" % (number, item) for item in range(number % 4 + 1)]
        placed = await producer.send(USAGE, f"org_{number % 7}", values)
        return placed.partition, placed.offset, values

    sent = await asyncio.gather(*(send(number) for number in range(400)))
    log = {(record.partition, record.offset): record.value for record in await whole_log(kafka, USAGE)}
    for partition, offset, values in sent:
        assert [log[partition, offset + index] for index in range(len(values))] == values
    assert len(log) == sum(len(values) for _, _, values in sent)


async def test_more_than_one_record_batch_is_split_and_still_in_order(producer: Producer, kafka: KafkaOptions) -> None:
    values = [bytes([number % 256]) * 10_000 for number in range(300)]
    placed = await producer.send(USAGE, "org_1", values)
    log = {record.offset: record.value for record in await whole_log(kafka, USAGE)}
    assert [log[offset] for offset in placed.offsets] == values


async def test_the_order_of_sends_is_the_order_of_the_log(producer: Producer, kafka: KafkaOptions) -> None:
    sends = [asyncio.create_task(producer.send(USAGE, "org_1", [b"%d" % number])) for number in range(200)]
    await asyncio.gather(*sends)
    assert [record.value for record in await whole_log(kafka, USAGE)] == [b"%d" % number for number in range(200)]


async def test_a_record_larger_than_the_topic_allows_is_refused(producer: Producer) -> None:
    import os

    with pytest.raises(TooLarge):
        await producer.send(USAGE, "org_1", [os.urandom(USAGE.max_message_bytes + 1000)])
    assert (await producer.send(USAGE, "org_1", [b"small"])).count == 1


async def test_bytes_in_flight_are_bounded(kafka: KafkaOptions) -> None:
    async with started_producer(kafka, max_bytes_in_flight=100_000) as producer:
        sends = [producer.send(USAGE, "org_1", [b"x" * 30_000]) for _ in range(10)]
        ends = await asyncio.gather(*sends, return_exceptions=True)
        assert [end for end in ends if isinstance(end, Overloaded)]
        assert [end for end in ends if not isinstance(end, Exception)]
        assert (await producer.send(USAGE, "org_1", [b"x" * 30_000])).count == 1


async def test_a_topic_that_does_not_exist_is_unavailable_within_the_deadline(producer: Producer) -> None:
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        await producer.send(Topic("aihub.nowhere.v1", "not made"), "org_1", [b"x"])
    assert time.monotonic() - began < 5
    assert (await producer.send(USAGE, "org_1", [b"x"])).count == 1


async def test_starting_without_a_broker_does_not_fail_and_sending_does_in_time() -> None:
    async with started_producer(KafkaOptions(f"127.0.0.1:{free_ports(1)[0]}")) as producer:
        assert not producer.healthy
        began = time.monotonic()
        with pytest.raises(BrokerUnavailable):
            await producer.send(USAGE, "org_1", [b"x"])
        assert time.monotonic() - began < 5
        began = time.monotonic()
        with pytest.raises(BrokerUnavailable):
            await producer.send(USAGE, "org_1", [b"x"])
        assert time.monotonic() - began < 0.5, "known to be down: refused at once"


async def test_it_comes_back_with_the_broker(engines: Engines, kafka: KafkaOptions) -> None:
    async with started_producer(kafka) as producer:
        before = await producer.send(USAGE, "org_1", [b"before"])
        async with broker_down(engines):
            began = time.monotonic()
            ends = await asyncio.gather(
                *(producer.send(USAGE, f"org_{number}", [b"lost %d" % number]) for number in range(20)),
                return_exceptions=True,
            )
            assert all(isinstance(end, BrokerUnavailable) for end in ends), ends
            assert time.monotonic() - began < 5
            await eventually(lambda: not producer.healthy)
        await eventually(lambda: producer.healthy, within_s=20)
        after = await producer.send(USAGE, "org_1", [b"after"])
        assert (after.partition, after.offset) == (before.partition, before.offset + 1)
    assert sorted(record.value or b"" for record in await whole_log(kafka, USAGE)) == [b"after", b"before"]


async def test_sends_that_wait_for_a_restarting_broker_succeed(engines: Engines, kafka: KafkaOptions) -> None:
    async with started_producer(kafka, deadline_s=30.0) as producer:
        await producer.send(USAGE, "org_1", [b"before"])
        async with broker_down(engines):
            sends = [asyncio.create_task(producer.send(USAGE, "org_1", [b"%d" % number])) for number in range(50)]
        placed = await asyncio.gather(*sends)
    assert [place.offset for place in placed] == list(range(1, 51))


async def test_a_lost_sequence_is_mended_by_a_new_inner_producer(producer: Producer, kafka: KafkaOptions) -> None:
    placed = await producer.send(USAGE, "org_1", [b"one"])
    inner = producer._connection.producer
    assert inner is not None
    for partition in list(inner._txn_manager._sequence_numbers):
        inner._txn_manager._sequence_numbers[partition] += 7
    with pytest.raises(BrokerUnavailable):
        await producer.send(USAGE, "org_1", [b"out of order"])
    after = await producer.send(USAGE, "org_1", [b"two"])
    assert after.offset == placed.offset + 1


async def test_a_dead_sender_is_replaced(producer: Producer) -> None:
    inner = producer._connection.producer
    assert inner is not None
    inner._sender.sender_task.cancel()
    await eventually(lambda: producer._connection.producer not in (None, inner), within_s=10)
    assert (await producer.send(USAGE, "org_1", [b"x"])).count == 1


async def test_stopping_waits_for_what_is_in_flight(kafka: KafkaOptions) -> None:
    async with started_producer(kafka) as producer:
        sends = [asyncio.create_task(producer.send(USAGE, "org_1", [b"%d" % number])) for number in range(50)]
        await asyncio.sleep(0)
    assert len(await asyncio.gather(*sends)) == 50
