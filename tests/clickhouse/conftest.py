"""A ClickHouse database of the test's own, in the session's one engine."""

from collections.abc import AsyncIterator

import pytest

from infra.clickhouse.client import ClickHouse
from infra.clickhouse.migrate import migrate
from infra.embedded.engines import Engines
from tests.conftest import unique


@pytest.fixture
async def clickhouse(engines: Engines) -> AsyncIterator[ClickHouse]:
    """A fresh, migrated database of the test's own."""
    opened = ClickHouse.open_chdb(engines.clickhouse_path, unique("test"))
    await migrate(opened)
    yield opened
    await opened.drop_database()
    await opened.close()
