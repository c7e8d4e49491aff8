"""Health and metrics of a role that serves no HTTP otherwise: three paths, without a framework."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import uvicorn

from contracts import json_text

_METRICS_TYPE: Final = b"text/plain; version=1.0.0; charset=utf-8"
_JSON_TYPE: Final = b"application/json"

Ready = Callable[[], Mapping[str, Mapping[str, Any]]]
"""Reports by name; each has `healthy`."""


class _Server(uvicorn.Server):
    """Leaves the signals to the process: its role drains on SIGTERM, the probes answer until the end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_probes(
    port: int, ready: Ready, metrics: Callable[[], bytes], stop: asyncio.Event, *, host: str = "127.0.0.1"
) -> None:
    """Serves `/health/live`, `/health/ready` (503 when a report is not healthy) and `/metrics` until `stop`.

    Raises: OSError when the port is taken.
    """
    listener = socket.create_server((host, port))
    server = _Server(
        uvicorn.Config(
            probes(ready, metrics),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_keep_alive=5,
            timeout_graceful_shutdown=2,
        )
    )
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(sockets=[listener]))
        stopping = group.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        stopping.cancel()


def probes(ready: Ready, metrics: Callable[[], bytes]) -> Callable[..., Awaitable[None]]:
    """The three paths as an ASGI application."""

    def answer(path: str) -> tuple[int, bytes, bytes]:
        if path == "/health/live":
            return 200, _JSON_TYPE, b'{"status":"alive"}'
        if path == "/health/ready":
            reports = ready()
            fine = all(report.get("healthy", False) for report in reports.values())
            body = {"status": "ready" if fine else "not_ready", "checks": {k: dict(v) for k, v in reports.items()}}
            return (200 if fine else 503), _JSON_TYPE, json_text.dump(body)
        if path == "/metrics":
            return 200, _METRICS_TYPE, metrics()
        return (
            404,
            _JSON_TYPE,
            b'{"error":{"code":"not_found","message":"Only /health/live, /health/ready, /metrics."}}',
        )

    async def app(scope: Mapping[str, Any], _receive: Any, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        if scope["type"] != "http":
            return
        status, content_type, body = (
            answer(scope["path"]) if scope["method"] in ("GET", "HEAD") else (405, _JSON_TYPE, b"{}")
        )
        headers = [(b"content-type", content_type), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return app
