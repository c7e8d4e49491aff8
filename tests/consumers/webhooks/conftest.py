"""The far end of every delivery."""

from collections.abc import AsyncIterator

import pytest

from tests.support.far_end import FarEnd


@pytest.fixture
async def far_end() -> AsyncIterator[FarEnd]:
    async with FarEnd.running() as running:
        yield running
