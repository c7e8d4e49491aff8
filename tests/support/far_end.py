"""The far end of HTTP as a test wants it: answers what it is told to, counts connections, keeps what came."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Received:
    """One request that arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class FarEnd:
    """Answers 204 unless `answers` (by path) or `answer` say otherwise."""

    url: str = ""
    connections: int = 0
    received: list[Received] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    answer: Answer | None = None

    def ids(self, path: str | None = None) -> list[str]:
        """The webhook ids that arrived, in order."""
        return [one.headers["webhook-id"] for one in self.received if path is None or one.path == path]

    @classmethod
    @asynccontextmanager
    async def running(cls, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Self]:
        """Listens on a free port of the host."""
        far_end = cls()
        runner = web.ServerRunner(web.Server(far_end._handle, access_log=None), shutdown_timeout=0.2)
        await runner.setup()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = _CountingListener(family, socket.SOCK_STREAM)
        listener.far_end = far_end
        listener.bind((host, 0))
        listener.listen(512)
        await web.SockSite(runner, listener, ssl_context=tls).start()
        name = f"[{host}]" if ":" in host else host
        far_end.url = f"http{'s' if tls else ''}://{name}:{listener.getsockname()[1]}"
        try:
            yield far_end
        finally:
            await runner.cleanup()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rpartition(":")[2])

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.path, headers, body))
        answer = self.answers.get(request.path, self.answer)
        return await answer(request) if answer else web.Response(status=204)  # type: ignore[arg-type]


class _CountingListener(socket.socket):
    far_end: FarEnd

    def accept(self) -> tuple[socket.socket, object]:
        accepted = super().accept()
        self.far_end.connections += 1
        return accepted


def status(code: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
    """Always this answer."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers=headers, body=body)

    return answer


def hanging() -> Answer:
    """No answer until the client goes away."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    return answer
