"""Providers that an API knows, and the browser that goes to and fro between them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from api.deps import Deps
from api.oauth.browser import COOKIE
from infra.http.providers import Provider
from tests.api.conftest import Api, World, serving
from tests.support.issuer import (
    CLIENT,
    SECRET,
    Issuer,
)

OAUTH = "/v1/auth/oauth"


@asynccontextmanager
async def providers(world: World) -> AsyncIterator[tuple[Issuer, Deps, str]]:
    """An issuer, and a served API that knows it under three names."""
    async with Issuer.running(world.clock) as issuer:
        own: dict[str, Any] = {"client_id": CLIENT, "client_secret": SecretStr(SECRET)}
        oidc = Provider(issuer=issuer.url, label="Issuer", **own)
        github = Provider(kind="github", issuer=issuer.url, api_url=issuer.url, scopes=("user:email",), **own)
        known = {"issuer": oidc, "google": oidc, "github": github}
        deps = replace(world.deps, options=replace(world.deps.options, oidc_providers=known))
        async with serving(deps) as url:
            yield issuer, deps, url


class Browser:
    """Follows redirects by hand; keeps the cookies of the hub only."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.cookie: str | None = None

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = options.pop("headers", {})
        if self.cookie:
            headers = headers | {"cookie": f"{COOKIE}={self.cookie}"}
        async with httpx.AsyncClient(base_url=self.api.url, timeout=20) as client:
            answer = await client.request(method, path, headers=headers, **options)
        self.cookie = answer.cookies.get(COOKIE) or self.cookie
        return answer

    async def start(self, provider: str = "issuer", query: str = "") -> str:
        """The address at the provider."""
        answer = await self.ask("GET", f"{OAUTH}/{provider}/start{query}")
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def consent(self, address: str) -> str:
        """Where the provider sends the browser back to, as a path of the hub."""
        async with httpx.AsyncClient(timeout=20) as client:
            answer = await client.get(address)
        assert answer.status_code == 302, answer.text
        back = urlsplit(answer.headers["location"])
        assert f"{back.scheme}://{back.netloc}" == "http://localhost:8080"
        return f"{back.path}?{back.query}"

    async def log_in(self, provider: str = "issuer") -> httpx.Response:
        """The answer of the callback."""
        return await self.ask("GET", await self.consent(await self.start(provider)))

    async def tokens(self, provider: str = "issuer") -> dict[str, Any]:
        """Tokens, or the second step."""
        came = await self.log_in(provider)
        assert came.status_code == 200, came.text
        body = {"login_code": came.json()["data"]["login_code"]}
        done = await self.ask("POST", f"{OAUTH}/tokens", json=body)
        assert done.status_code == 200, done.text
        return done.json()["data"]
