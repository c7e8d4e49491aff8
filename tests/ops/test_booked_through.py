"""Grants begin and end only once everything that was accepted before is in the ledger."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from consumers.batch import Batch, decoded
from consumers.credits.handlers import CreditsHandler
from contracts import catalog
from contracts.catalog import state
from contracts.events.usage import UsageRecordedV1
from contracts.topics import USAGE
from infra.kafka.log import LogReader
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.ops.booked_through import MARGIN, booked_through
from infra.ops.seed_prices import seed_prices
from infra.postgres.database import Database
from tests.support.clock import FakeClock


@pytest.fixture
async def log(kafka: KafkaOptions) -> AsyncIterator[tuple[Producer, LogReader]]:
    producer, reader = Producer(kafka), LogReader(kafka)
    await producer.start()
    yield producer, reader
    await reader.close()
    await producer.stop()


async def test_an_empty_log_is_booked_through_now(
    log: tuple[Producer, LogReader], database: Database, clock: FakeClock
) -> None:
    assert await booked_through(database, log[1], clock) == clock.now() - MARGIN


async def test_what_waits_in_the_log_holds_the_instant_back(
    log: tuple[Producer, LogReader], database: Database, clock: FakeClock
) -> None:
    producer, reader = log
    use = state(
        UsageRecordedV1(service="chat", model="gpt-4o", input_tokens=1),
        event_id="e-1",
        source="urn:test",
        organization="org_1",
        now=clock.now() - timedelta(hours=1),
    )
    await producer.send(USAGE, "org_1", [catalog.encode(use)])
    assert await booked_through(database, reader, clock) is None
    await seed_prices(database, clock)
    partition = reader.partition_of("org_1", USAGE)
    records, _ = decoded([record async for record in reader.scan(USAGE, partition)])
    await CreditsHandler(database, clock).handle(Batch(records))
    assert await booked_through(database, reader, clock) == clock.now() - timedelta(hours=1) - MARGIN
