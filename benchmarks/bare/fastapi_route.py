"""The limit of single-event ingest: a bare FastAPI route with the hub's model and producer, the answer awaited.

No key, no request id, no metrics, no bounds. `python -m benchmarks.bare.fastapi_route PORT BOOTSTRAP PREFIX`.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from contracts.events.usage import UsageRecordedV1
from contracts.topics import USAGE, TopicNames
from contracts.types import Instant, Text
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer

ORGANIZATION = "org_bench"


class Event(BaseModel):
    """A CloudEvent that carries usage."""

    specversion: str
    id: Text
    source: Text
    type: Text
    time: Instant
    data: UsageRecordedV1
    organization: str = ORGANIZATION
    acceptedat: Instant | None = None


class Receipt(BaseModel):
    """Where the event stands."""

    id: str
    topic: str
    partition: int
    offset: int
    accepted_at: Instant


def app_for(kafka: KafkaOptions) -> FastAPI:
    """The application."""
    producer = Producer(kafka)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await producer.start()
        yield
        await producer.stop()

    app = FastAPI(lifespan=lifespan)

    @app.post("/events", status_code=202)
    async def take(event: Event) -> Receipt:
        event.acceptedat = datetime.now(UTC)
        placed = await producer.send(USAGE, ORGANIZATION, [event.model_dump_json(exclude_none=True).encode()])
        return Receipt(
            id=event.id, topic=USAGE.name, partition=placed.partition, offset=placed.offset,
            accepted_at=event.acceptedat,
        )  # fmt: skip

    return app


if __name__ == "__main__":
    port, bootstrap, prefix = sys.argv[1:]
    application = app_for(KafkaOptions(bootstrap, topics=TopicNames(prefix)))
    uvicorn.run(application, port=int(port), log_level="warning", access_log=False)
