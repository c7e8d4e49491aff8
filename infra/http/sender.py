"""Sends one webhook and says what came back; the far end can neither hang it, redirect it nor fill its memory."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

import aiohttp

from infra.http.addresses import AddressPolicy
from infra.http.guard import AddressRefused, guarded_connector, host_in_hand

DEADLINE_S: Final = 15.0
KEPT_BODY_BYTES: Final = 16 * 1024
KEPT_HEADERS: Final = 20
KEPT_HEADER_LENGTH: Final = 256
BODY_GRACE_S: Final = 2.0
USER_AGENT: Final = "SmartAIHub-Webhooks/1.0"


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
        self._timeout = aiohttp.ClientTimeout(total=deadline_s, ceil_threshold=deadline_s + 1)
        self._tls: ssl.SSLContext | bool = tls or True
        self._lookup = lookup
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=guarded_connector(self._policy, self._lookup),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Accept": "*/*"},
            timeout=self._timeout,
            trust_env=False,
            auto_decompress=False,
            raise_for_status=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """The far end's answer, within the deadline. Never raises for what the far end does."""
        assert self._session is not None, "use `async with Sender(...)`"
        started = time.perf_counter()
        try:
            host_in_hand.set(urlsplit(url).hostname or "")
            async with self._session.post(
                url, data=body, headers=headers, allow_redirects=False, ssl=self._tls
            ) as answer:
                kept = await _excerpt(answer)
                return Reply(answer.status, _ms(started), headers=_kept_headers(answer), body=kept)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            timed_out = isinstance(error, TimeoutError)
            return Reply(None, _ms(started), error=_why(error), timed_out=timed_out)


async def _excerpt(answer: aiohttp.ClientResponse) -> bytes:
    """At most 16 KiB of the body. The status already tells the outcome: a body that stalls or breaks is cut."""
    stream, kept = answer.content, b""
    if stream.at_eof():
        return kept
    try:
        async with asyncio.timeout(BODY_GRACE_S):
            while len(kept) < KEPT_BODY_BYTES and (chunk := await stream.read(KEPT_BODY_BYTES - len(kept))):
                kept += chunk
    except (aiohttp.ClientError, TimeoutError):
        answer.close()
    if not stream.at_eof():
        answer.close()
    return kept


def _kept_headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    pairs = list(answer.headers.items())[:KEPT_HEADERS]
    return {_clean(name.lower()): _clean(value) for name, value in pairs}


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
