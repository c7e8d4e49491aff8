"""The outermost layer: request id, bounded body, headers that stand on every answer."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.core.bodies import BoundedBody
from api.core.request_ids import KEY, Context, request_id_from

_ALWAYS: Final = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
DRAIN_S: Final = 3.0
DRAIN_BYTES: Final = 64_000_000


class Edge:
    """ASGI middleware; knows nothing of routes."""

    def __init__(self, app: ASGIApp, *, limit: int, deadline_s: float) -> None:
        self._app = app
        self._limit = limit
        self._deadline_s = deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        context = scope[KEY] = Context(request_id_from(headers.get(b"x-request-id")), headers)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                _complete(message, context)
            elif context.unread_body and not message.get("more_body"):
                await send({**message, "more_body": True})
                await _drain(receive)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self._app(scope, BoundedBody(receive, context, self._limit, self._deadline_s), answer)


def _complete(message: Message, context: Context) -> None:
    headers = message["headers"]
    headers.append((b"x-request-id", context.request_id.encode()))
    headers.extend(_ALWAYS)
    if context.unread_body or message["status"] == 408:
        headers.append((b"connection", b"close"))


async def _drain(receive: Receive) -> None:
    """Throws the rest of a refused body away for a moment, so that its sender reads the answer and not a reset."""
    left = DRAIN_BYTES
    try:
        async with asyncio.timeout(DRAIN_S):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body"):
                    return
    except TimeoutError:
        return
