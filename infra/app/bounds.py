"""Bounds of a request's head, which uvicorn does not have: length of the address, number and size of headers.

What is refused here has not reached the application: the error has its usual shape, and the connection ends.
"""

import asyncio
from http import HTTPStatus
from typing import Final

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contracts.errors import AihubError, HeadersTooLarge, Malformed, UriTooLong
from contracts.types import rfc3339
from infra.clock import SystemClock
from infra.ids import new_id

URL_BYTES: Final = 8_192
HEADERS: Final = 100
HEADER_BYTES: Final = 32_768
MESSAGE_BYTES: Final = 100_000_000
"""Of one request with its body, framing and trailers: far above what the application reads and drains."""
LINGER_S: Final = 1.0


class BoundedHead(HttpToolsProtocol):
    """Answers 414 and 431 beyond the bounds, 400 to what is not HTTP, and hears nothing more after that.

    A head that is not complete may be longer by the one piece (256 KiB at most) in which it began.
    """

    _in_head = True
    _received = 0
    _piece = 0
    _refusal: AihubError | None = None
    _ended = False

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        self._piece = len(data)
        self._received += self._piece
        super().data_received(data)
        if self._received <= HEADER_BYTES or self._ended or self.transport.is_closing():
            return
        if self._in_head:
            self._refusal = self._too_large()
            self.send_400_response("")
        elif self._received > MESSAGE_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        self._in_head, self._received = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        if len(self.url) > URL_BYTES or len(self.headers) > HEADERS or self._head_is_large():
            self._refusal = self._too_large()
            raise self._refusal  # the parser ends, and uvicorn calls send_400_response
        super().on_headers_complete()

    def _head_is_large(self) -> bool:
        if self._received + self._piece <= HEADER_BYTES:
            return False
        return sum(len(name) + len(value) for name, value in self.headers) > HEADER_BYTES

    def send_400_response(self, msg: str) -> None:
        """Sends the refusal, and listens no more: what is still on its way is thrown away for a moment."""
        if self._ended:
            return
        self._ended = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()  # an answer is on its way already
            return
        error = self._refusal or Malformed("This is not an HTTP/1.1 request.")
        self.transport.write(_answer(error))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_S, self.transport.close)

    def _too_large(self) -> AihubError:
        if len(self.url) > URL_BYTES:
            return UriTooLong(f"The address is longer than {URL_BYTES:,} bytes; send what is long in the body.")
        return HeadersTooLarge(f"There are more than {HEADERS} headers, or more than {HEADER_BYTES:,} bytes of them.")


def _answer(error: AihubError) -> bytes:
    request_id = new_id("req")
    about = {"code": error.code, "message": error.message, "details": []}
    body = orjson.dumps({"error": {**about, "timestamp": rfc3339(SystemClock().now()), "request_id": request_id}})
    lines = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"X-Request-ID: {request_id}",
        "X-Content-Type-Options: nosniff",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
