"""A webhook receiver: what the demo lets the hub deliver to. Verifies every signature, counts every id once."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError


class Receiver:
    """Counts what arrives: `ids` are different and verified, `refused` had a wrong signature."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.ids: set[tuple[str, str]] = set()
        self.repeats = 0
        self.refused = 0
        self.url = ""

    async def _receive(self, request: web.Request) -> web.Response:
        endpoint = request.match_info["endpoint"]
        body = await request.read()
        try:
            Webhook(self.secrets[endpoint]).verify(body, dict(request.headers))
        except (WebhookVerificationError, KeyError):
            self.refused += 1
            return web.Response(status=401)
        seen = (endpoint, request.headers["webhook-id"])
        self.repeats += seen in self.ids
        self.ids.add(seen)
        return web.Response(status=204)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Receiver"]:
        """Listens on a free loopback port; `url` is set, endpoints are paths below it."""
        app = web.Application()
        app.router.add_post("/{endpoint}", self._receive)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        listener = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(runner, listener).start()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            yield self
        finally:
            async with asyncio.timeout(10):
                await runner.cleanup()
