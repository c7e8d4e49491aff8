"""A started producer."""

from collections.abc import AsyncIterator

import pytest

from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from tests.support.kafka import started_producer


@pytest.fixture
async def producer(kafka: KafkaOptions) -> AsyncIterator[Producer]:
    async with started_producer(kafka) as started:
        yield started
