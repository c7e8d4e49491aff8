"""The outermost layer: request id, bounded body, headers that stand on every answer."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_network
from typing import Final

import structlog
from prometheus_client import Counter, Histogram
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.core import legacy
from api.core.addresses import client_address
from api.core.bodies import BoundedBody
from api.core.errors import bug, render
from api.core.request_ids import KEY, Context, request_id_from
from api.core.room import SURPLUS, UNBOUNDED, Room, announced_bytes
from contracts.errors import AihubError
from infra.postgres import tenancy
from infra.telemetry.metrics import HTTP_REQUESTS, HTTP_SECONDS

_ALWAYS: Final = (b"x-content-type-options", b"nosniff")
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
DRAIN_S: Final = 3.0
DRAIN_BYTES: Final = 64_000_000


class Edge:
    """ASGI middleware. Posts to a `hot` path have a room of their own; if `direct`, they skip the framework."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit: int,
        deadline_s: float,
        hot: Mapping[str, ASGIApp],
        direct: bool,
        room: Room,
        hot_room: Room,
        proxies: Sequence[str] = (),
    ) -> None:
        self._app = app
        self._hot = hot
        self._direct = direct
        self._limit = limit
        self._deadline_s = deadline_s
        self._proxies = tuple(ip_network(proxy) for proxy in proxies)
        self._room = room
        self._hot_room = hot_room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        tenancy.act_for(None)  # a pipelined request starts in the context of the one before it
        moved = legacy.successor(scope) if scope["path"].startswith("/api/") else None
        scope = moved or scope
        headers: dict[bytes, bytes] = dict(scope["headers"])
        client = scope.get("client")
        address = client_address(client[0] if client else "", headers.get(b"x-forwarded-for"), self._proxies)
        context = scope[KEY] = Context(request_id_from(headers.get(b"x-request-id")), headers, address)
        structlog.contextvars.bind_contextvars(request_id=context.request_id)
        began, status = time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _complete(message, context)
                if moved is not None and context.route != "other":
                    message["headers"] += legacy.headers_of(moved)
            elif context.unread_body and not message.get("more_body"):
                await send({**message, "more_body": True})
                await _drain(receive)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        try:
            await self._serve(scope, BoundedBody(receive, context, self._limit, self._deadline_s), answer)
        finally:
            if context.place is not None:
                context.place.leave()
            _count(scope["method"], context.route, status, time.perf_counter() - began)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        hot = self._hot.get(scope["path"]) if scope["method"] == "POST" else None
        try:
            self._admit(scope, self._room if hot is None else self._hot_room)
            if hot is not None and self._direct:
                await hot(scope, receive, send)
                return
        except AihubError as error:
            await render(Request(scope), error)(scope, receive, send)
            return
        except ClientDisconnect:
            return
        except Exception as error:
            await (await bug(Request(scope), error))(scope, receive, send)
            raise
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope, room: Room) -> None:
        """Raises: Overloaded."""
        context: Context = scope[KEY]
        context.unread_body = SURPLUS in scope
        if scope["path"] not in UNBOUNDED or context.unread_body:
            context.place = room.enter(scope, announced_bytes(context.headers, self._limit))


@lru_cache(maxsize=2_000)
def _figures(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """The counter and the histogram of such answers, looked up once."""
    known = method if method in _METHODS else "other"
    return HTTP_REQUESTS.labels(known, route, str(status)), HTTP_SECONDS.labels(known, route)


def _count(method: str, route: str, status: int, seconds: float) -> None:
    answered, duration = _figures(method, route, status)
    answered.inc()
    duration.observe(seconds)


def _complete(message: Message, context: Context) -> None:
    headers = message["headers"]
    headers.append((b"x-request-id", context.request_id.encode()))
    headers += (_ALWAYS, (b"cache-control", context.cache_control), *context.limit_headers)
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
