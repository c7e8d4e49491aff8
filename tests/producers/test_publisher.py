"""A receipt is proof: the event stands where it says."""

import pytest

from contracts import catalog
from contracts.envelope import CONTENT_TYPE
from contracts.errors import BrokerUnavailable
from contracts.topics import AUTH, USAGE
from infra.embedded.ports import free_ports
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from producers.publisher import Publisher
from tests.support.kafka import login, started_producer, usage, whole_log


async def test_every_event_has_a_receipt_in_its_order_and_stands_there(producer: Producer, kafka: KafkaOptions) -> None:
    envelopes = [make(number, f"org_{number % 5}") for number in range(60) for make in ((usage, login)[number % 2],)]
    receipts = await Publisher(producer).publish(envelopes)
    assert [receipt.event_id for receipt in receipts] == [envelope.id for envelope in envelopes]
    log = {
        (record.topic.name, record.partition, record.offset): record
        for topic in (USAGE, AUTH)
        for record in await whole_log(kafka, topic)
    }
    assert len(log) == 60
    for envelope, receipt in zip(envelopes, receipts, strict=True):
        record = log[receipt.topic, receipt.partition, receipt.offset]
        assert catalog.decode(record.value or b"")[0] == envelope
        assert record.key == envelope.organization.encode()
        assert dict(record.headers) == {"content-type": CONTENT_TYPE.encode()}
        assert receipt.accepted_at == envelope.acceptedat


async def test_the_events_of_one_organization_stay_in_order(producer: Producer, kafka: KafkaOptions) -> None:
    await Publisher(producer).publish([usage(number) for number in range(200)])
    found = [catalog.decode(record.value or b"")[0].id for record in await whole_log(kafka, USAGE)]
    assert found == [f"evt_{number}" for number in range(200)]


async def test_nothing_to_publish_is_no_work(producer: Producer) -> None:
    assert await Publisher(producer).publish([]) == []


async def test_without_a_broker_there_is_no_receipt() -> None:
    async with started_producer(KafkaOptions(f"127.0.0.1:{free_ports(1)[0]}"), deadline_s=0.5) as producer:
        with pytest.raises(BrokerUnavailable):
            await Publisher(producer).publish([usage(1)])
