"""The head of a request is bounded; who sends or reads too slowly is cut off, on a raw socket."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from infra.app import bounds, server
from infra.app.server import bind, serve
from tests.support.eventually import eventually

CUT_S = 0.5


class App:
    """Answers 401 without reading a body; on /large with 64 MB."""

    def __init__(self) -> None:
        self.served = 0
        self.under_way = 0

    async def __call__(self, scope: dict[str, Any], _receive: Any, send: Any) -> None:
        self.served += 1
        self.under_way += 1
        try:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            for _ in range(64 if scope["path"] == "/large" else 0):
                await send({"type": "http.response.body", "body": bytes(1_000_000), "more_body": True})
            await send({"type": "http.response.body"})
        finally:
            self.under_way -= 1


@pytest.fixture
async def app() -> App:
    return App()


@pytest.fixture
async def port(app: App, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(server, "HEADER_TIMEOUT_S", CUT_S)
    listener, stop = bind("127.0.0.1", None, 0), asyncio.Event()
    task = asyncio.create_task(serve(app, listener, stop))
    yield listener.getsockname()[1]
    stop.set()
    async with asyncio.timeout(15):
        await task


async def answer_to(port: int, sent: bytes) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer, which ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    async with asyncio.timeout(5):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert b"connection: close" in head.lower()
    return int(head.split()[1]), json.loads(body)


def request(path: str = "/", headers: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode()


MANY = "".join(f"X-{number}: 1\r\n" for number in range(bounds.HEADERS))
LONG = f"X-Long: {'a' * bounds.HEADER_BYTES}\r\n"


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (request("/" + "a" * bounds.URL_BYTES), 414, "uri_too_long"),
        (b"GET /" + b"a" * 400_000, 414, "uri_too_long"),
        (request(headers=MANY), 431, "headers_too_large"),
        (request(headers=LONG), 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nX-Endless: " + b"a" * 400_000, 431, "headers_too_large"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello", 400, "malformed"),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, "malformed"),
    ],
    ids=["address", "endless address", "many headers", "long header", "endless header", "TLS", "length"],
)
async def test_a_head_beyond_the_bounds_is_refused_in_the_usual_shape(
    port: int, app: App, sent: bytes, status: int, code: str
) -> None:
    found, body = await answer_to(port, sent)
    assert (found, body["error"]["code"]) == (status, code)
    assert set(body["error"]) == {"code", "message", "details", "timestamp", "request_id"}
    assert app.served == 0


async def test_a_head_within_the_bounds_is_served(port: int) -> None:
    headers = "".join(f"X-{number}: {'a' * 300}\r\n" for number in range(bounds.HEADERS - 1))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(request("/" + "a" * (bounds.URL_BYTES - 1), headers))
        async with asyncio.timeout(5):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401")
            assert await reader.readuntil(b"0\r\n\r\n")
    writer.close()


async def test_a_body_that_drips_on_after_its_answer_is_cut_off(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")

    async def drip() -> None:
        for _ in range(100):
            writer.write(b"x")
            await asyncio.sleep(CUT_S / 10)

    dripping = asyncio.create_task(drip())
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 401")
    assert not dripping.done()
    dripping.cancel()
    writer.close()


async def test_a_client_that_does_not_read_is_cut_off(port: int, app: App) -> None:
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.sendall(request("/large"))
    await eventually(lambda: app.under_way == 1)
    await eventually(lambda: app.under_way == 0, within_s=10)
    client.close()


async def test_a_client_that_closes_its_side_in_the_middle_is_let_go(port: int, app: App) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost:")
    writer.write_eof()
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    assert app.served == 0
    writer.close()


async def test_a_message_without_end_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MESSAGE_BYTES", 200_000)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ")
    async with asyncio.timeout(5):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            while True:
                writer.write(b"a" * 50_000)
                await writer.drain()
                await asyncio.sleep(0)
    writer.close()
