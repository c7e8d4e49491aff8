"""From the log to the subscriber: the consumer and the dispatcher together, on real engines."""

import asyncio
import json

from consumers.webhooks import app
from contracts import catalog
from contracts.events.usage import UsageRecordedV1
from infra.clock import SystemClock
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.postgres.database import Database
from producers.publisher import Publisher
from tests.consumers.webhooks.world import ORGANIZATION, dispatching, make_endpoint, states
from tests.support.eventually import eventually
from tests.support.far_end import FarEnd


async def test_a_published_fact_reaches_its_subscriber_once_though_it_is_published_twice(
    kafka: KafkaOptions, database: Database
) -> None:
    clock, stop = SystemClock(), asyncio.Event()
    producer = Producer(kafka)
    await producer.start()
    consumer = app.build(database, kafka=kafka, producer=producer, clock=clock)
    async with FarEnd.running() as far_end:
        await make_endpoint(database, far_end.url + "/hook", event_types=["service.*"], clock=clock)
        running = asyncio.create_task(consumer.run(stop))
        async with dispatching(database, clock):
            data = UsageRecordedV1(service="chat", input_tokens=3)
            for event_id in ("e1", "e1", "e2"):
                fact = catalog.state(
                    data, event_id=event_id, source="urn:app", organization=ORGANIZATION, now=clock.now()
                )
                await Publisher(producer).publish([fact])

            async def done() -> bool:
                return await states(database) == {"succeeded": 2}

            await eventually(done, within_s=30)
        stop.set()
        await running
        bodies = [json.loads(one.body)["data"] for one in far_end.received]
    await producer.stop()
    assert [(body["event"]["id"], body["input_tokens"]) for body in bodies] == [("e1", 3), ("e2", 3)]
