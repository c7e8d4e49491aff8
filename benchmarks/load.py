"""The load client, a process of its own: HTTP over bare sockets, requests made beforehand, so that it is no limit."""

import asyncio
import time
from typing import Any, Final

import orjson

from benchmarks.events import usage
from benchmarks.processes import answer_questions
from infra.app.loop import run

BATCH_TYPE: Final = "application/cloudevents-batch+json"
SINGLE_TYPE: Final = "application/cloudevents+json"


class Connection(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed = 0
        self._status = 0
        self._told = False
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: Any) -> None:
        """Keeps the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Ends the request when header and body are there."""
        self._buffer += data
        if not self._needed:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            at = head.index(b"content-length:") + 15
            self._needed = end + 4 + int(head[at : head.find(b"\r\n", at) if b"\r\n" in head[at:] else None])
            self._status, self._told = int(head[9:12]), b"retry-after:" in head
        if len(self._buffer) >= self._needed and self._answer is not None:
            del self._buffer[: self._needed]
            self._needed, answer, self._answer = 0, self._answer, None
            answer.set_result(self._status)

    def connection_lost(self, error: Exception | None) -> None:
        """Ends a request that hangs."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionError("closed by the server"))

    @property
    def told(self) -> bool:
        """Whether the last answer said when to come again."""
        return self._told

    def post(self, request: bytes) -> "asyncio.Future[int]":
        """The status, once the whole answer has been read."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer


class Client:
    """Builds requests, then sends them."""

    def __init__(self) -> None:
        self._requests: list[bytes] = []

    async def build(self, job: dict[str, Any]) -> int:
        """Makes `requests` requests of `batch` events each (0: one event, not in an array)."""
        batch = job["batch"] or 1
        events = usage(job["requests"] * batch, job["prefix"])
        bodies = [
            orjson.dumps(events[start : start + batch] if job["batch"] else events[start])
            for start in range(0, len(events), batch)
        ]
        keys = job["keys"]
        media_type = BATCH_TYPE if job["batch"] else job.get("media_type", SINGLE_TYPE)
        self._requests = [
            b"POST %s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\n"
            b"Content-Length: %d\r\n\r\n%s"
            % (job["path"].encode(), keys[number % len(keys)].encode(), media_type.encode(), len(body), body)
            for number, body in enumerate(bodies)
        ]
        return len(self._requests)

    async def send(self, job: dict[str, Any]) -> dict[str, Any]:
        """Sends them, `concurrency` at a time; with a `rate` (requests a second) each at its moment."""
        loop = asyncio.get_running_loop()
        rate: float | None = job.get("rate")
        numbers = iter(range(len(self._requests)))
        took: list[float] = [0.0] * len(self._requests)
        ended: list[float] = [0.0] * len(self._requests)
        refused: dict[str, int] = {}
        statuses: list[int] = [0] * len(self._requests)
        untold = 0

        async def work() -> None:
            nonlocal untold
            _, connection = await loop.create_connection(Connection, "127.0.0.1", job["port"])
            for number in numbers:
                if rate:
                    await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
                start = time.monotonic()
                status = await connection.post(self._requests[number])
                ended[number] = time.monotonic()
                took[number] = ended[number] - start
                statuses[number] = status
                if status != 202:
                    refused[str(status)] = refused.get(str(status), 0) + 1
                    untold += not connection.told

        began, used = time.monotonic(), time.process_time()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(job["concurrency"]):
                tasks.create_task(work())
        seconds = time.monotonic() - began
        answer = {"seconds": seconds, "cpu_s": time.process_time() - used, "refused": refused, "untold": untold}
        times = {"ended": ended, "took": took, "statuses": statuses}
        return answer | (times if job.get("times") else {"took": sorted(took)})


async def main() -> None:
    """Answers until standard input ends."""
    client = Client()
    await answer_questions({"build": client.build, "send": client.send})


if __name__ == "__main__":
    run(main())
