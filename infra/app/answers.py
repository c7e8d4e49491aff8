"""One write an answer: uvicorn writes the head of an answer and its body one after the other."""

import asyncio
from typing import Any


class Whole(asyncio.Transport):
    """A request's transport, which holds the head of the answer back until there is a piece of its body.

    ASGI sends nothing before the first `http.response.body` anyway (HTTP, "Response Start"). A system call less for us
    and one for the client: 10 us of 180. Not for HEAD, whose answers have no body.
    """

    __slots__ = ("_head", "_to")

    def __init__(self, to: asyncio.Transport) -> None:
        self._to = to
        self._head: bytes | None = None

    def write(self, data: Any) -> None:
        """Writes, or keeps the head of the answer."""
        if self._head is None:
            if data.startswith(b"HTTP/1.1 100 "):
                self._to.write(data)
            else:
                self._head = data
        elif self._head:
            self._to.write(self._head + data)
            self._head = b""
        else:
            self._to.write(data)

    def is_closing(self) -> bool:
        """As the transport says."""
        return self._to.is_closing()

    def close(self) -> None:
        """Writes what was held back, and closes."""
        if self._head:
            self._to.write(self._head)
        self._to.close()
