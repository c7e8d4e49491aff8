"""A whole hub for each test that asks for one."""

from collections.abc import AsyncIterator

import pytest

from infra.embedded.engines import Engines
from infra.kafka.options import KafkaOptions
from tests.conftest import unique
from tests.support.hub import RunningHub, running_hub, settings_of


@pytest.fixture
async def hub(engines: Engines, kafka: KafkaOptions, database_dsn: str) -> AsyncIterator[RunningHub]:
    """All roles on engines of the session, with topics and databases of the test's own."""
    async with running_hub(engines, settings_of(engines, kafka, database_dsn, unique("flow"))) as running:
        yield running
