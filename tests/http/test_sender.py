"""The far end can neither hang the sender, nor redirect it, nor fill its memory."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme
from aiohttp import web

from infra.http.addresses import AddressPolicy
from infra.http.sender import KEPT_BODY_BYTES, Sender
from tests.http.test_guard import _answers
from tests.support.far_end import FarEnd, hanging, status

LOOPBACK = AddressPolicy.allowing(["127.0.0.0/8"])
AUTHORITY = trustme.CA()


@pytest.fixture
async def far_end() -> AsyncIterator[FarEnd]:
    async with FarEnd.running() as running:
        yield running


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    async with Sender(LOOPBACK, deadline_s=1.0) as open_sender:
        yield open_sender


async def test_the_answer_comes_with_status_headers_and_body(far_end: FarEnd, sender: Sender) -> None:
    far_end.answer = status(503, {"Retry-After": "7"}, b"busy")
    reply = await sender.post(far_end.url + "/a", b'{"x":1}', {"X-Own": "1", "Content-Type": "application/json"})
    assert (reply.status, reply.body, reply.headers["retry-after"]) == (503, b"busy", "7")
    sent = far_end.received[0]
    assert (sent.path, sent.body, sent.headers["x-own"]) == ("/a", b'{"x":1}', "1")
    assert sent.headers["accept-encoding"] == "identity"


async def test_connections_are_kept_and_cookies_are_not(far_end: FarEnd, sender: Sender) -> None:
    far_end.answer = status(200, {"Set-Cookie": "a=b"})
    for _ in range(5):
        await sender.post(far_end.url, b"{}", {})
    assert far_end.connections == 1
    assert all("cookie" not in one.headers for one in far_end.received)


async def test_an_endpoint_that_never_answers_is_cut_off_at_the_deadline(far_end: FarEnd, sender: Sender) -> None:
    far_end.answer = hanging()
    reply = await sender.post(far_end.url, b"{}", {})
    assert (reply.status, reply.timed_out, reply.error) == (None, True, "timeout: no answer in time")
    assert 900 <= reply.duration_ms < 3000


async def test_of_an_endless_body_only_16_kib_are_kept(far_end: FarEnd, sender: Sender) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65_536)
        except ConnectionError:
            return response

    far_end.answer = endless
    reply = await sender.post(far_end.url, b"{}", {})
    assert reply.status == 200
    assert reply.body == b"x" * KEPT_BODY_BYTES


async def test_a_body_that_stalls_does_not_undo_the_status(far_end: FarEnd, sender: Sender) -> None:
    async def stalling(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        await asyncio.Event().wait()
        return response

    far_end.answer = stalling
    reply = await sender.post(far_end.url, b"{}", {})
    assert (reply.status, reply.body) == (200, b"half")


async def test_a_compressed_bomb_is_not_unpacked(far_end: FarEnd, sender: Sender) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    far_end.answer = status(200, {"Content-Encoding": "gzip"}, bomb)
    reply = await sender.post(far_end.url, b"{}", {})
    assert (reply.status, reply.body) == (200, bomb[:KEPT_BODY_BYTES])


async def test_headers_are_kept_in_bounds_and_storable(far_end: FarEnd, sender: Sender) -> None:
    many = {f"X-{number}": "v" * 1000 for number in range(40)}
    far_end.answer = status(200, many)
    reply = await sender.post(far_end.url, b"{}", {})
    assert len(reply.headers) <= 20
    assert all(len(value) <= 256 for value in reply.headers.values())


@pytest.mark.parametrize(
    "raw", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 999999 X\r\n\r\n", b"HTTP/1.1 200 OK\r\nA" * 9000]
)
async def test_what_is_not_http_is_a_failure_and_no_exception(sender: Sender, raw: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(raw)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        reply = await sender.post(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", b"{}", {})
    assert reply.status is None
    assert reply.error is not None
    assert reply.error.startswith("connection: ")


async def _answering(raw: bytes, received: list[bytes]) -> asyncio.Server:
    """A server that takes one request of a known length and answers these bytes."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        received.append(head + await reader.readexactly(length))
        writer.write(raw)
        await writer.drain()
        await reader.read()
        writer.close()

    return await asyncio.start_server(talk, "127.0.0.1", 0)


@pytest.mark.parametrize(
    "raw, code, body",
    [
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", 101, b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, b"ok"),
        (b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", 204, b""),
    ],
)
async def test_every_form_of_an_answer_is_understood(sender: Sender, raw: bytes, code: int, body: bytes) -> None:
    received: list[bytes] = []
    async with await _answering(raw, received) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a?b=c"
        reply = await sender.post(url, b"{}", {})
        assert (reply.status, reply.body) == (code, body)
    assert received[0].startswith(b"POST /a?b=c HTTP/1.1\r\nhost: 127.0.0.1:")


async def test_the_largest_payload_arrives_whole(far_end: FarEnd, sender: Sender) -> None:
    body = b"x" * 262_144
    assert (await sender.post(far_end.url, body, {})).status == 204
    assert far_end.received[0].body == body


async def test_an_own_header_takes_the_place_of_ours_whatever_its_case(far_end: FarEnd, sender: Sender) -> None:
    await sender.post(far_end.url, b"{}", {"USER-Agent": "mine", "X-Own": "1"})
    assert far_end.received[0].headers["user-agent"] == "mine"


@pytest.mark.parametrize("value", ["1\r\nX-Smuggled: 1", "1\nX-Smuggled: 1", "1\rX", "1\0"])
async def test_a_header_that_would_smuggle_another_is_not_sent(far_end: FarEnd, sender: Sender, value: str) -> None:
    reply = await sender.post(far_end.url, b"{}", {"X-Own": value})
    assert reply.status is None
    assert far_end.connections == 0


async def test_a_connection_that_broke_off_is_not_used_again(sender: Sender) -> None:
    received: list[bytes] = []
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
    async with await _answering(answer, received) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        first = await sender.post(url, b"{}", {})
        second = await sender.post(url, b"{}", {})
    assert [(first.status, first.body), (second.status, second.body)] == [(200, b"half")] * 2
    assert len(received) == 2


async def test_a_closed_port_says_so(far_end: FarEnd, sender: Sender) -> None:
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    reply = await sender.post(f"http://127.0.0.1:{port}/", b"{}", {})
    assert reply.error is not None
    assert reply.error.startswith("connection: ")
    assert not reply.timed_out


async def test_a_name_that_does_not_exist_says_so() -> None:
    def unknown(*_args: object) -> list[object]:
        raise OSError(-2, "Name or service not known")

    async with Sender(LOOPBACK, deadline_s=1, lookup=unknown) as sender:
        reply = await sender.post("https://nowhere.example/", b"{}", {})
    assert reply.error == "name: the host could not be resolved"


async def test_a_name_server_that_hangs_holds_up_nobody_else(far_end: FarEnd) -> None:
    import threading

    answer = threading.Event()

    def slow(host: str, *rest: object) -> list[object]:
        if host == "slow.test":
            answer.wait(20)
        return _answers(["127.0.0.1"])(host, *rest)  # type: ignore[no-untyped-call]

    async with Sender(LOOPBACK, deadline_s=1, lookup=slow) as sender:
        hung = [asyncio.create_task(sender.post(f"http://slow.test:{far_end.port}/", b"{}", {})) for _ in range(10)]
        assert (await sender.post(f"http://quick.test:{far_end.port}/", b"{}", {})).status == 204
        assert {reply.timed_out for reply in await asyncio.gather(*hung)} == {True}
        answer.set()


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("hooks.test").configure_cert(context)
    return context


@pytest.mark.parametrize(
    "name, trusted, status_code", [("hooks.test", True, 204), ("other.test", True, None), ("hooks.test", False, None)]
)
async def test_tls_is_verified_by_name_though_the_connection_goes_to_an_address(
    name: str, trusted: bool, status_code: int | None
) -> None:
    tls = ssl.create_default_context()
    if trusted:
        AUTHORITY.configure_trust(tls)
    async with FarEnd.running(tls=_context()) as far_end:
        async with Sender(LOOPBACK, deadline_s=2, tls=tls, lookup=_answers(["127.0.0.1"])) as sender:
            reply = await sender.post(f"https://{name}:{far_end.port}/", b"{}", {})
        assert reply.status == status_code
        assert len(far_end.received) == (1 if status_code else 0)
        if status_code is None:
            assert reply.error == "TLS: the certificate is not valid for this name"
