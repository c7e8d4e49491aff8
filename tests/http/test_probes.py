"""The probes of a role that serves no HTTP otherwise."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from infra.http.probes import serve_probes
from tests.support.eventually import eventually


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@asynccontextmanager
async def _probes(reports: Mapping[str, Mapping[str, Any]]) -> AsyncIterator[str]:
    port, stop = _free_port(), asyncio.Event()
    serving = asyncio.create_task(serve_probes(port, lambda: reports, lambda: b"metric 1\n", stop))

    async def listening() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    await eventually(listening)
    yield f"http://127.0.0.1:{port}"
    stop.set()
    async with asyncio.timeout(5):
        await serving


async def test_liveness_readiness_and_metrics_are_served() -> None:
    async with _probes({"credits": {"healthy": True, "lag": 0}}) as url, aiohttp.ClientSession() as session:
        async with session.get(f"{url}/health/live") as answer:
            assert answer.status == 200
        async with session.get(f"{url}/health/ready") as answer:
            assert answer.status == 200
            assert await answer.json() == {"status": "ready", "checks": {"credits": {"healthy": True, "lag": 0}}}
        async with session.get(f"{url}/metrics") as answer:
            assert await answer.read() == b"metric 1\n"
            assert answer.headers["content-type"].startswith("text/plain")


async def test_a_consumer_that_is_not_healthy_makes_the_role_not_ready_but_alive() -> None:
    reports = {"credits": {"healthy": True}, "audit": {"healthy": False}}
    async with _probes(reports) as url, aiohttp.ClientSession() as session:
        async with session.get(f"{url}/health/ready") as answer:
            assert answer.status == 503
        async with session.get(f"{url}/health/live") as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    "method, path, expected", [("GET", "/", 404), ("POST", "/metrics", 405), ("HEAD", "/metrics", 200)]
)
async def test_nothing_else_is_served(method: str, path: str, expected: int) -> None:
    async with (
        _probes({}) as url,
        aiohttp.ClientSession() as session,
        session.request(method, url + path) as answer,
    ):
        assert answer.status == expected


async def test_a_port_that_is_taken_is_an_error_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match=str(port)):
            await serve_probes(port, dict, lambda: b"", asyncio.Event())
