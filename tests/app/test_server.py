"""Clients that take their time with a header are cut off; others are served, also again on the same connection."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.core.room import REFUSED, SURPLUS
from contracts.errors import EngineError
from infra.app import server
from infra.app.server import bind, serve
from tests.support.eventually import eventually

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def _app(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(server, "HEADER_TIMEOUT_S", 0.3)
    listener, stop = bind("127.0.0.1", None, 0), asyncio.Event()
    task = asyncio.create_task(serve(_app, listener, stop))
    yield listener.getsockname()[1]
    stop.set()
    async with asyncio.timeout(15):
        await task


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHo"])
async def test_an_unfinished_header_is_cut_off(port: int, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_an_idle_connection_is_kept_for_the_next_request_and_a_slow_second_one_cut_off(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(REQUEST)
        async with asyncio.timeout(5):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6):
                await reader.read(1)
    writer.write(b"GET /slow")
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


def test_a_port_that_is_taken_is_refused_when_asked_for_and_else_avoided() -> None:
    first = bind("127.0.0.1", None, 0)
    taken = first.getsockname()[1]
    with pytest.raises(EngineError, match=f"port {taken}"):
        bind("127.0.0.1", taken, 8080)
    other = bind("127.0.0.1", None, taken)
    assert other.getsockname()[1] != taken
    first.close()
    other.close()


async def test_a_connection_too_many_is_told_so_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTIONS", 2)
    scopes: list[dict[str, Any]] = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scopes.append(scope)
        headers = [(b"connection", b"close")] if SURPLUS in scope else []
        await send({"type": "http.response.start", "status": 503 if SURPLUS in scope else 204, "headers": headers})
        await send({"type": "http.response.body"})

    listener, stop = bind("127.0.0.1", None, 0), asyncio.Event()
    task, port = asyncio.create_task(serve(app, listener, stop)), listener.getsockname()[1]
    opened = []
    for number in range(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        opened.append(writer)
        writer.write(REQUEST)
        async with asyncio.timeout(5):
            answer = await reader.read() if number >= 2 else await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 204" if number < 2 else b"HTTP/1.1 503")
    opened.pop(0).close()
    await _until_served(port)
    for writer in opened:
        writer.close()
    stop.set()
    async with asyncio.timeout(15):
        await task


async def _until_served(port: int) -> None:
    async def served() -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        answer = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return answer.startswith(b"HTTP/1.1 204")

    await eventually(served)


async def test_who_was_refused_is_left_alone_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DEAF_S", 0.3)

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scope[REFUSED] = True
        await _app(scope, receive, send)

    listener, stop = bind("127.0.0.1", None, 0), asyncio.Event()
    task = asyncio.create_task(serve(app, listener, stop))
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
    began = asyncio.get_running_loop().time()
    for _ in range(3):
        writer.write(REQUEST)
        async with asyncio.timeout(5):
            await reader.readuntil(b"\r\n\r\n")
    assert asyncio.get_running_loop().time() - began >= 0.55
    writer.close()
    stop.set()
    async with asyncio.timeout(15):
        await task
