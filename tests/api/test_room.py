"""What is in flight is bounded: beyond it requests are refused before their body is read, and nothing is lost."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.app import create_app
from api.core.room import Place, Room
from api.deps import Deps
from contracts.errors import Overloaded
from infra.app.server import bind, serve
from tests.api.conftest import Api, client_of, event
from tests.support.clock import FakeClock
from tests.support.eventually import eventually

FEW = 8
CONNECTIONS = 200
EACH = 5
BODY_EVENTS = 100
RSS_MB = 150


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=60))
def test_neither_requests_nor_bytes_exceed_their_bound_and_all_room_comes_back(steps: list[tuple[bool, int]]) -> None:
    room, inside = Room(3, 50), list[Place]()
    for enters, size in steps:
        if not enters and inside:
            inside.pop().leave()
            continue
        with contextlib.suppress(Overloaded):
            inside.append(room.enter({}, size // 2))
            inside[-1].hold(size)
        assert room.requests <= 3
        assert room.body_bytes <= 50
    for place in inside:
        place.leave()
    assert (room.requests, room.body_bytes) == (0, 0)


def test_one_body_larger_than_all_the_room_gets_in_when_it_is_alone() -> None:
    room = Room(3, 50)
    room.enter({}, 60)
    with pytest.raises(Overloaded):
        room.enter({}, 1)


@asynccontextmanager
async def _served(deps: Deps, clock: FakeClock, **options: int) -> AsyncIterator[tuple[Api, int]]:
    """The API behind the hub's own server, with these bounds, and its port."""
    listener, stop = bind("127.0.0.1", None, 0), asyncio.Event()
    port = listener.getsockname()[1]
    bounded = replace(deps, options=replace(deps.options, **options))
    serving = asyncio.create_task(serve(create_app(bounded), listener, stop))
    try:
        async with client_of(f"http://127.0.0.1:{port}", bounded, clock) as api:
            yield api, port
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await serving


def _request(api: Api, body: bytes, *, chunked: bool = False) -> bytes:
    length = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % len(body)
    sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    head = b"POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\n" % api.key.encode()
    return head + b"content-type: application/cloudevents-batch+json\r\n%s\r\n\r\n%s" % (length, sent)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
    return int(head[9:12]), head, await reader.readexactly(length)


def _rss_mb() -> float:
    """Resident memory of this process; where there is no /proc nothing is measured."""
    if not Path("/proc/self/status").exists():
        return 0.0
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024  # type: ignore[index]


async def test_of_a_flood_every_202_is_on_kafka_the_rest_is_told_when_to_come_again_and_memory_stays(
    deps: Deps, clock: FakeClock
) -> None:
    accepted: set[str] = set()
    refused: list[tuple[int, bytes, bytes]] = []
    peak = before = _rss_mb()

    async with _served(deps, clock, requests_in_flight=FEW, database_deadline_s=20) as (api, port):

        async def client(number: int) -> None:
            nonlocal peak
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for turn in range(EACH):
                ids = [f"{number}-{turn}-{at}" for at in range(BODY_EVENTS)]
                writer.write(_request(api, orjson.dumps([event(id=one) for one in ids])))
                status, head, body = await _answer(reader)
                if status == 202:
                    accepted.update(ids)
                else:
                    refused.append((status, head, body))
                peak = max(peak, _rss_mb())
            writer.close()

        async with asyncio.timeout(60), asyncio.TaskGroup() as clients:
            for number in range(CONNECTIONS):
                clients.create_task(client(number))
        assert {envelope.id for envelope in await api.published()} == accepted
    assert accepted
    assert refused
    for status, head, body in refused:
        assert (status, orjson.loads(body)["error"]["code"]) == (503, "overloaded")
        assert b"retry-after: 1\r\n" in head
        assert b"x-request-id: " in head
    assert peak - before < RSS_MB


async def test_a_request_is_refused_before_its_body_came_while_health_is_told(deps: Deps, clock: FakeClock) -> None:
    async with _served(deps, clock, requests_in_flight=1) as (api, port):
        _, holding = await asyncio.open_connection("127.0.0.1", port)
        holding.write(_request(api, b"[" + b" " * 100_000 + b"]")[:-1])

        async def full() -> bool:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_request(api, b"x" * 1000)[:-1000])
            try:
                async with asyncio.timeout(0.2):
                    return (await _answer(reader))[0] == 503
            except TimeoutError:
                return False
            finally:
                writer.close()

        await eventually(full)
        assert (await api.client.get("/health/live")).status_code == 200
        assert (await api.client.get("/v1/credits/balance")).status_code == 200
        holding.close()
        await eventually(lambda: _takes(api))


async def _takes(api: Api) -> bool:
    return (await api.send([event()])).status_code == 202


@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_are_bounded_together_whether_announced_or_not(
    deps: Deps, clock: FakeClock, chunked: bool
) -> None:
    async with _served(deps, clock, bytes_in_flight=100_000) as (api, port):
        _, holding = await asyncio.open_connection("127.0.0.1", port)
        holding.write(_request(api, b"[" + b" " * 90_000 + b"]")[:-1])

        async def refuses() -> bool:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_request(api, b"[" + b" " * 20_000 + b"]", chunked=chunked))
            status, _, _ = await _answer(reader)
            writer.close()
            return status == 503

        await eventually(refuses)
        holding.close()
        await eventually(lambda: _takes(api))
