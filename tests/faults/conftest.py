"""A world for the tests of a module, and nothing of its engines' outages in the log."""

import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.faults.world import World, start_world

NOISY = ("aiokafka", "clickhouse_connect", "clickhouse_connect.driver", "asyncio")


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Engines that may be killed at will; each test installs a hub of its own in it."""
    async with start_world(tmp_path_factory.mktemp("faults")) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_noise() -> Iterator[None]:
    levels = {name: logging.getLogger(name).level for name in NOISY}
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
