"""A local issuer that is Google to an API of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from pydantic import SecretStr

from infra.http.providers import Provider
from infra.ids import new_id
from tests.api.conftest import Api, World, client_of, serving
from tests.support.issuer import CLIENT, SECRET, Issuer


@asynccontextmanager
async def google(world: World) -> AsyncIterator[Issuer]:
    """The issuer, which vouches for somebody whom nobody knows yet."""
    async with Issuer.running(world.clock) as running:
        running.claims = {"sub": new_id("sub"), "email": f"{new_id('p')}@example.com"}
        yield running


@asynccontextmanager
async def api_with_google(world: World, issuer: Issuer, port: int = 0) -> AsyncIterator[Api]:
    """The API; at a port that is given, it takes `localhost` there for its own address, as browsers want."""
    named = Provider(issuer=issuer.url, client_id=CLIENT, client_secret=SecretStr(SECRET))
    options = replace(world.deps.options, oidc_providers={"google": named})
    if port:
        options = replace(options, public_url=f"http://localhost:{port}")
    deps = replace(world.deps, options=options)
    async with serving(deps, port) as url, client_of(url, deps, world.clock) as opened:
        yield opened
