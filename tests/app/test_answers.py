"""Answers reach a client whole, whatever they are made of."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from infra.app.server import bind, serve
from tests.support.eventually import eventually

BEGUN: set[str] = set()
LATE = asyncio.Event()


async def _app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers `/none` without a body, `/pieces` in pieces, `/broken` half, `/late` when it may, others with what was
    sent."""
    path = scope["path"]
    got = await receive()
    if path == "/none":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
        return
    body: bytes = got["body"] or b"hello"
    headers = [] if path == "/pieces" else [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    BEGUN.add(path)
    if path == "/late":
        await LATE.wait()
    if path == "/broken":
        raise RuntimeError("a bug after the head")
    if path == "/pieces":
        for piece in (b"one", b"two"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"" if path == "/pieces" else body})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    listener, stop = bind("127.0.0.1", None, 0), asyncio.Event()
    task = asyncio.create_task(serve(_app, listener, stop))
    yield listener.getsockname()[1]
    stop.set()
    async with asyncio.timeout(15):
        await task


async def ask(port: int, *requests: str, last: str = "Connection: close\r\n") -> bytes:
    """All that comes back to these requests, sent at once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number, request in enumerate(requests, 1):
        head, _, body = request.partition("|")
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        closes = last if number == len(requests) else ""
        writer.write(f"{head} HTTP/1.1\r\nHost: x\r\n{length}{closes}\r\n{body}".encode())
    async with asyncio.timeout(10):
        got = await reader.read()
    writer.close()
    return got


def split(answer: bytes) -> tuple[bytes, bytes]:
    """Status line and body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0], body


async def test_head_and_body_come_in_one_piece(port: int) -> None:
    LATE.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
    first = asyncio.create_task(reader.read(65_536))
    await eventually(lambda: "/late" in BEGUN)
    LATE.set()
    async with asyncio.timeout(10):
        assert (await first).endswith(b"\r\n\r\nhello")
    writer.close()


@pytest.mark.parametrize(
    ("request_line", "status", "body"),
    [
        ("GET /echo", b"HTTP/1.1 200 OK", b"hello"),
        ("POST /echo|sent", b"HTTP/1.1 200 OK", b"sent"),
        ("GET /none", b"HTTP/1.1 204 No Content", b""),
        ("HEAD /echo", b"HTTP/1.1 200 OK", b""),
        ("GET /pieces", b"HTTP/1.1 200 OK", b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"),
        ("GET /broken", b"HTTP/1.1 200 OK", b""),
    ],
)
async def test_every_kind_of_answer_arrives(port: int, request_line: str, status: bytes, body: bytes) -> None:
    assert split(await ask(port, request_line)) == (status, body)


async def test_requests_that_were_sent_ahead_are_answered_in_their_order(port: int) -> None:
    got = await ask(port, "POST /echo|first", "HEAD /echo", "POST /echo|third")
    assert [split(b"HTTP/1.1 " + answer)[1] for answer in got.split(b"HTTP/1.1 ")[1:]] == [b"first", b"", b"third"]


async def test_who_waits_to_be_told_to_go_on_is_told(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    async with asyncio.timeout(10):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        assert await reader.readexactly(4) == b"body"
    writer.close()
