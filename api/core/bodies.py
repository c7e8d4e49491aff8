"""Bodies are bounded in size, in time, and again after inflation."""

import asyncio
import zlib
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from api.core.request_ids import Context
from contracts.errors import InputError, Malformed, Problem, TooLarge, UnsupportedMediaType

_WINDOW: Final = {b"gzip": 16 + zlib.MAX_WBITS, b"x-gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}


class TooSlow(InputError):
    """The body did not arrive in time."""

    code = "request_timeout"
    status = 408


class BoundedBody:
    """A `receive` that gives at most `limit` bytes, plain, within `deadline_s` from when it first has to wait.

    Raises from a call: TooLarge (also from Content-Length, before a byte is read), TooSlow, UnsupportedMediaType
    (unknown Content-Encoding), Malformed (broken compression), Overloaded (more than was announced, and no room).
    """

    def __init__(self, receive: Receive, context: Context, limit: int, deadline_s: float) -> None:
        self._receive = receive
        self._context = context
        self._limit = limit
        self._deadline_s = deadline_s
        self._opened = False
        self._ends_at: float | None = None
        self._wire = 0
        self._plain = 0
        self._inflate: _Inflate | None = None

    async def __call__(self) -> Message:
        """The next piece of the body."""
        if not self._opened:
            self._open()
        receiving: Any = self._receive()  # a coroutine, as an `async def` gives
        try:
            wanted = receiving.send(None)  # what is there already is taken without a timer: 10 us of CPU
        except StopIteration as there:
            message: Message = there.value
        else:
            message = await self._waited(_Begun(receiving, wanted))
        if message["type"] != "http.request":
            return message
        piece = message.get("body", b"")
        self._wire += len(piece)
        if self._wire > self._limit:
            self._refuse(bool(message.get("more_body")))
        if self._inflate is not None:
            message["body"] = piece = self._inflate.feed(piece, last=not message.get("more_body"))
        self._hold(len(piece), bool(message.get("more_body")))
        return message

    async def _waited(self, receiving: Awaitable[Message]) -> Message:
        if self._ends_at is None:
            self._ends_at = asyncio.get_running_loop().time() + self._deadline_s
        try:
            async with asyncio.timeout_at(self._ends_at):
                return await receiving
        except TimeoutError:
            raise TooSlow(f"The body did not arrive within {self._deadline_s:g} s.") from None

    def _hold(self, more: int, unread: bool) -> None:
        """Counts what is in memory."""
        self._plain += more
        if self._context.place is not None:
            self._context.unread_body = unread
            self._context.place.hold(self._plain)
            self._context.unread_body = False

    def _open(self) -> None:
        self._opened = True
        headers = self._context.headers
        length = headers.get(b"content-length")
        if length is not None and int(length) > self._limit:
            self._refuse(True)
        encoding = headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding != b"identity":
            if encoding not in _WINDOW:
                self._context.unread_body = True
                raise UnsupportedMediaType("This Content-Encoding is not known; send gzip, deflate or none.")
            self._inflate = _Inflate(_WINDOW[encoding], self._limit)

    def _refuse(self, unread: bool) -> None:
        self._context.unread_body = unread
        raise _too_large(self._limit)


class _Begun:
    """The rest of a coroutine that has been begun and wants `wanted` done first."""

    def __init__(self, coroutine: Coroutine[Any, Any, Message], wanted: Any) -> None:
        self._coroutine = coroutine
        self._wanted = wanted

    def __await__(self) -> Generator[Any, Any, Message]:
        try:
            yield self._wanted
        except BaseException:
            self._coroutine.close()
            raise
        return (yield from self._coroutine.__await__())


class _Inflate:
    """Inflates piece by piece and stops at the limit, however small the bomb."""

    def __init__(self, window: int, limit: int) -> None:
        self._window = window
        self._left = limit
        self._limit = limit
        self._member = zlib.decompressobj(window)

    def feed(self, piece: bytes, *, last: bool) -> bytes:
        """The plain bytes of this piece."""
        plain = bytearray()
        try:
            while piece:
                if self._member.eof:
                    self._member = zlib.decompressobj(self._window)
                found = self._member.decompress(piece, self._left + 1)
                plain += found
                self._left -= len(found)
                if self._left < 0:
                    raise _too_large(self._limit)
                piece = self._member.unconsumed_tail or self._member.unused_data
        except zlib.error as error:
            raise _broken(str(error)) from None
        if last and not self._member.eof:
            raise _broken("it ends too early")
        return bytes(plain)


def _too_large(limit: int) -> TooLarge:
    problem = Problem("", "too_large", f"is larger than {limit} bytes")
    return TooLarge(f"The body is larger than {limit:,} bytes; split it.", problems=(problem,))


def _broken(why: str) -> Malformed:
    return Malformed(f"The compressed body cannot be read: {why}.", problems=(Problem("", "compression", why),))


async def read_body(receive: Receive) -> bytes:
    """The whole body. Raises: what BoundedBody raises; ClientDisconnect."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    if not message.get("more_body"):
        body: bytes = message.get("body", b"")
        return body
    pieces = [message.get("body", b"")]
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(message.get("body", b""))
    return b"".join(pieces)
