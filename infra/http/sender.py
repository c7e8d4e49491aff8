"""Sends one webhook and says what came back; the far end can neither hang it, redirect it nor fill its memory."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import islice
from types import MappingProxyType, TracebackType
from typing import Any, Final, NamedTuple, Self

import aiohttp
from aiohttp.http import HttpProcessingError

from infra.http.addresses import AddressPolicy
from infra.http.exchange import Answer, exchange, route_to
from infra.http.guard import AddressRefused, guarded_connector

DEADLINE_S: Final = 15.0
KEPT_BODY_BYTES: Final = 16 * 1024
KEPT_HEADERS: Final = 20
KEPT_HEADER_LENGTH: Final = 256
BODY_GRACE_S: Final = 2.0
ROUTES: Final = 4096
OUR_HEADERS: Final = {"user-agent": "SmartAIHub-Webhooks/1.0", "accept-encoding": "identity", "accept": "*/*"}


class Reply(NamedTuple):
    """What came back: a status, or an error that says why there is none."""

    status: int | None
    duration_ms: int
    error: str | None = None
    timed_out: bool = False
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""


class Sender:
    """A pool of connections to the far ends. Use `async with`."""

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        deadline_s: float = DEADLINE_S,
        tls: ssl.SSLContext | None = None,
        lookup: Callable[..., Any] = socket.getaddrinfo,
    ) -> None:
        self._policy = policy
        self._deadline_s = deadline_s
        self._tls: ssl.SSLContext | bool = tls or True
        self._lookup = lookup
        self._connector: aiohttp.BaseConnector | None = None
        self._route = lru_cache(ROUTES)(lambda url: route_to(url, self._tls))

    async def __aenter__(self) -> Self:
        self._connector = guarded_connector(self._policy, self._lookup)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._connector is not None
        await self._connector.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """The far end's answer, within the deadline. Never raises for what the far end does."""
        assert self._connector is not None, "use `async with Sender(...)`"
        started = time.perf_counter()
        until = asyncio.get_running_loop().time() + self._deadline_s
        try:
            async with asyncio.timeout_at(until):
                answer = await exchange(self._connector, self._route(url), _headers(headers), body)
            kept = await _excerpt(answer, until)
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
            return Reply(None, _ms(started), error=_why(error), timed_out=isinstance(error, TimeoutError))
        return Reply(answer.message.code, _ms(started), headers=_kept_headers(answer.message.headers), body=kept)


async def _excerpt(answer: Answer, until: float) -> bytes:
    """At most 16 KiB of the body. The status already tells the outcome: a body that stalls or breaks is cut."""
    stream, kept = answer.body, b""
    try:
        if stream.is_eof():
            kept = stream.read_nowait(KEPT_BODY_BYTES)
        else:
            grace = asyncio.get_running_loop().time() + BODY_GRACE_S
            async with asyncio.timeout_at(min(grace, until)):
                while len(kept) < KEPT_BODY_BYTES and (chunk := await stream.read(KEPT_BODY_BYTES - len(kept))):
                    kept += chunk
    except (aiohttp.ClientError, TimeoutError):
        answer.connection.close()
    finally:
        if stream.at_eof():
            answer.connection.release()
        else:
            answer.connection.close()
    return kept


def _headers(own: Mapping[str, str]) -> dict[str, str]:
    """Names in lower case, so that none is sent twice; what we say of ourselves gives way."""
    return {**OUR_HEADERS, **{name.lower(): value for name, value in own.items()}}


def _kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {_clean(name.lower()): _clean(value) for name, value in islice(headers.items(), KEPT_HEADERS)}


def _clean(text: str) -> str:
    """Bytes that are not UTF-8 come as lone surrogates, which neither JSON nor PostgreSQL can keep."""
    kept = text[:KEPT_HEADER_LENGTH]
    return kept if kept.isascii() else kept.encode("utf-8", "replace").decode()


def _ms(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)


def _why(error: BaseException) -> str:
    """What a person who owns the endpoint should know; no stack trace, no secret."""
    refused = _refused(error)
    if refused is not None:
        return str(refused)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "TLS: the certificate is not valid for this name"
    if isinstance(error, aiohttp.ClientSSLError):
        return "TLS: no agreement with the server"
    if isinstance(error, TimeoutError):
        return "timeout: no answer in time"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "name: the host could not be resolved"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"connection: {error.os_error.strerror or type(error.os_error).__name__}"[:200]
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return "url: not a valid address"
    return f"connection: broken off ({type(error).__name__})"


def _refused(error: BaseException | None) -> AddressRefused | None:
    """The guard's refusal, wherever the libraries put it: one address, or a group of attempts."""
    while error is not None:
        if isinstance(error, AddressRefused):
            return error
        if isinstance(error, BaseExceptionGroup):
            return next((found for inner in error.exceptions if (found := _refused(inner))), None)
        error = error.__cause__ or error.__context__
    return None
