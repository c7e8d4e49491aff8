"""One POST over aiohttp's connector: its pool, resolver, TLS and parser, without its session.

The session's way (URL, cookies, redirects, a task that writes the body, a response object) costs 115 us of CPU a
request; this costs 55 (`benchmarks/profiles/webhooks.md`). Only the session is left out, so whatever guards the
connector guards this too. It uses `TCPConnector.connect` and the protocol behind it as aiohttp 3.14 has them.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Final, NamedTuple

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader
from yarl import URL

from infra.http.guard import host_in_hand

_NO_LIMIT: Final = aiohttp.ClientTimeout(total=None)
_SWITCHING_PROTOCOLS: Final = 101


class Route(NamedTuple):
    """What requests to one URL have in common: where to connect, and how the request begins."""

    request: aiohttp.ClientRequest
    host: str
    start: str


class Answer(NamedTuple):
    """The head of a response; `body` is read from the connection, which has to be released or closed afterwards."""

    message: RawResponseMessage
    body: StreamReader
    connection: Connection


def route_to(url: str, tls: ssl.SSLContext | bool) -> Route:
    """The route to a URL. Raises: ValueError when it is none of http or https (aiohttp.InvalidURL is one)."""
    parsed = URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.user is not None:
        raise ValueError("not a plain http(s) URL")
    request = aiohttp.ClientRequest("POST", parsed, ssl=tls, loop=asyncio.get_running_loop())
    start = f"POST {parsed.raw_path_qs} HTTP/1.1\r\nhost: {request.headers['Host']}\r\n"
    return Route(request, parsed.host, start)


async def exchange(connector: aiohttp.BaseConnector, route: Route, headers: Mapping[str, str], body: bytes) -> Answer:
    """Sends the request and waits for the head of its answer; the caller sets the deadline.

    Raises: aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError, ValueError for a header with a line break.
    """
    request = _request(route, headers, body)
    host_in_hand.set(route.host)
    connection = await connector.connect(route.request, [], _NO_LIMIT)
    try:
        message, stream = await _answer(connection.protocol, request)
    except BaseException:
        connection.close()
        raise
    return Answer(message, stream, connection)


async def _answer(protocol: ResponseHandler | None, request: bytes) -> tuple[RawResponseMessage, StreamReader]:
    if protocol is None or protocol.transport is None:
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(read_until_eof=True, auto_decompress=False)
    protocol.transport.write(request)
    while True:
        message, stream = await protocol.read()
        if not 100 <= message.code < 200 or message.code == _SWITCHING_PROTOCOLS:
            return message, stream


def _request(route: Route, headers: Mapping[str, str], body: bytes) -> bytes:
    """Head and body in one piece (RFC 9112, section 3): one write, and mostly one packet."""
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if fields.count("\n") != len(headers) or fields.count("\r") != len(headers) or "\0" in fields:
        raise ValueError("a header may hold neither line breaks nor NUL")
    return f"{route.start}{fields}content-length: {len(body)}\r\n\r\n".encode() + body
