"""The far end of webhooks, a process of its own: answers 204 over bare sockets as fast as it can, and counts."""

import asyncio
import time
from typing import Any, Final

from benchmarks.processes import answer_questions
from infra.app.loop import run

ANSWER: Final = b"HTTP/1.1 204 No Content\r\nServer: bench\r\n\r\n"


class Receiver:
    """Counts requests over all its ports; `first` and `last` are their times."""

    def __init__(self) -> None:
        self.count = 0
        self.first = self.last = 0.0

    def received(self) -> None:
        """One more."""
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.count += 1

    async def listen(self, job: dict[str, Any]) -> list[int]:
        """Opens so many ports."""
        loop, found = asyncio.get_running_loop(), []
        for _ in range(job["ports"]):
            server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
            found.append(server.sockets[0].getsockname()[1])
        return found

    async def counted(self, _: dict[str, Any]) -> dict[str, float]:
        """What came since the last time that this was asked."""
        answer = {"count": self.count, "first": self.first, "last": self.last}
        self.count, self.first = 0, 0.0
        return answer


class _Connection(asyncio.Protocol):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            head = buffer[:end].lower()
            at = head.find(b"content-length:") + 15
            whole = end + 4 + int(head[at:].split(b"\r\n", 1)[0])
            if len(buffer) < whole:
                break
            buffer = buffer[whole:]
            self._receiver.received()
            self._transport.write(ANSWER)
        self._buffer = buffer


async def main() -> None:
    """Answers until standard input ends."""
    receiver = Receiver()
    await answer_questions({"listen": receiver.listen, "counted": receiver.counted})


if __name__ == "__main__":
    run(main())
