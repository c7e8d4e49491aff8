"""Providers, one stage for all tests of a module."""

from collections.abc import AsyncIterator

import pytest

from api.deps import Deps
from infra.ids import new_id
from tests.api.conftest import Api, World, client_of
from tests.api.oauth.providers import providers
from tests.support.issuer import Issuer


@pytest.fixture(scope="module")
async def stage(world: World) -> AsyncIterator[tuple[Issuer, Deps, str]]:
    """The same for all tests of this module."""
    async with providers(world) as opened:
        yield opened


@pytest.fixture
def issuer(stage: tuple[Issuer, Deps, str]) -> Issuer:
    """The issuer, honest again, with somebody new logged in."""
    honest = stage[0]
    honest.reset()
    honest.claims = {"sub": new_id("sub"), "email": f"{new_id('p')}@example.com"}
    return honest


@pytest.fixture
async def api(stage: tuple[Issuer, Deps, str], world: World, issuer: Issuer) -> AsyncIterator[Api]:
    """A client of the API."""
    async with client_of(stage[2], stage[1], world.clock) as opened:
        yield opened
