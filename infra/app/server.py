"""Serves an ASGI app on a socket that was bound beforehand."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Iterator
from typing import Any, Final

import uvicorn

from api.core.room import REFUSED, SURPLUS
from contracts.errors import EngineError
from infra.app.answers import Whole
from infra.app.bounds import BoundedHead

HEADER_TIMEOUT_S: Final = 15.0
DRAIN_S: Final = 10
CONNECTIONS: Final = 1_000
"""Open at once; as many again are told that they are too many, the next are closed without a word."""
DEAF_S: Final = 0.25
"""So long nothing is read from a connection whose request was refused: a client that asks on at once must not take
the time of those that are served (a refusal costs a third of an event)."""


def bind(host: str, port: int | None, default: int) -> socket.socket:
    """A listening socket: on `port`, or on the default, or on a free port when the default is taken.

    Raises: EngineError when the port was asked for and is taken.
    """
    try:
        return _listen(host, port or default)
    except OSError as error:
        if port is not None:
            message = f"port {port} on {host} is taken ({error.strerror}): stop its owner or choose another"
            raise EngineError(message) from None
        return _listen(host, 0)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


class PatientOnlySoLong(BoundedHead):
    """uvicorn's protocol, but slow clients are cut off within 15 to 20 s: whose header is not complete, whose body
    goes on after the answer (before it, the application cuts), who does not read what we send.

    One timer a connection looks three times in 15 s; a request only notes when it began. Connections are bounded,
    and one whose request was refused for lack of room is left alone for a moment.
    """

    _header_since: float | None = None
    _body_since: float | None = None
    _watch: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            self._is_too_many()
        self._header_since = self.loop.time()
        self._look()

    def on_message_begin(self) -> None:
        self._header_since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._header_since, self._body_since = None, self.loop.time()
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before and self.cycle.scope["method"] != "HEAD":
            self.cycle.transport = Whole(self.transport)

    def on_message_complete(self) -> None:
        self._body_since = None
        super().on_message_complete()
        if self.cycle.response_complete and self.timeout_keep_alive_task is None:
            # The rest of a refused body: nobody else would end the connection when nothing follows.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if REFUSED in self.cycle.scope and not self.transport.is_closing():
            self.flow.pause_reading()
            self.loop.call_later(DEAF_S, self._listen_again)

    def _listen_again(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def _is_too_many(self) -> None:
        """One more than there is room for: its first request is refused, then it is closed."""
        if len(self.connections) > 2 * CONNECTIONS:
            self.transport.abort()
        app = self.app

        async def refused(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, SURPLUS: True}, receive, send)

        self.app = refused

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(HEADER_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._watch, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        since = self._header_since
        if since is None and self._body_since is not None and self.cycle is not None and self.cycle.response_complete:
            since = self._body_since
        if since is not None and self.loop.time() - since >= HEADER_TIMEOUT_S:
            self.transport.close()
        else:
            self._watch = self.loop.call_later(HEADER_TIMEOUT_S / 3, self._look)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the program has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _allow_files(wanted: int) -> None:
    """Raises the limit of open files as far as this user may: a shell's usual 1,024 are fewer than our connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def serve(app: Any, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serves until `stop` is set, then finishes the requests in hand, for at most 10 s."""
    _allow_files(3 * CONNECTIONS)
    server = _Server(
        uvicorn.Config(
            app,
            http=PatientOnlySoLong,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=DRAIN_S,
            backlog=2048,
        )
    )
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve(sockets=[listener]))
        stopping = tasks.create_task(stop.wait())
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        stopping.cancel()
