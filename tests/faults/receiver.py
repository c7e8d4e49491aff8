"""A webhook receiver that remembers which webhook ids came for which usage event, and when first."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web

from infra.http.hub_client import HubClient
from tests.faults.client import ORGANIZATIONS, Identity
from tests.faults.world import Installation

Answer = Callable[[str, int], Awaitable[int]]
"""The status for a webhook id that comes for the nth time."""


class Receiver:
    """Answers 204 (or what `answer` says); `ids` by usage event, `times` by webhook id."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.ids: dict[Identity, set[str]] = defaultdict(set)
        self.times: Counter[str] = Counter()
        self.first_at: dict[Identity, float] = {}
        self.answer: Answer | None = None
        self.url = ""

    async def _receive(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = orjson.loads(await request.read())
        name, event = request.headers["webhook-id"], body["data"]["event"]
        self.times[name] += 1
        if event.get("cause", {}).get("source") == self.source:
            identity = (event["organization"], event["cause"]["id"])
            self.ids[identity].add(name)
            self.first_at.setdefault(identity, time.monotonic())
        status = await self.answer(name, self.times[name]) if self.answer else 204
        return web.Response(status=status)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Receiver"]:
        """Listens on a free loopback port."""
        app = web.Application()
        app.router.add_post("/{organization}", self._receive)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            async with asyncio.timeout(10):
                await runner.cleanup()


async def subscribe(hub: Installation, receiver: Receiver) -> None:
    """An endpoint of each organization for what its usage was charged."""
    for organization in ORGANIZATIONS:
        async with HubClient(hub.url, hub.keys[organization]) as client:
            wanted = {"url": f"{receiver.url}/{organization}", "event_types": ["credits.charged"]}
            await client.post("/v1/webhooks/endpoints", wanted)
