"""The limit of batch ingest: aiokafka alone, the hub's settings, the very bytes that the ingress writes.

`send` is aiokafka's own way: one `send()` an event, answers awaited a hundred at a time.
`send_batch` hands over record batches of a hundred, as the hub does: its ceiling, shown beside.
"""

import asyncio
import time
from typing import Any

from aiokafka import AIOKafkaProducer

from benchmarks.events import records, usage
from benchmarks.processes import answer_questions
from infra.app.loop import run
from infra.kafka.producer import COMPRESSION
from infra.kafka.producer_connection import BATCH_BYTES
from producers.publisher import record_headers

ORGANIZATION = "org_bench"


class Bare:
    """One producer, one topic, one key."""

    def __init__(self) -> None:
        self._values: list[bytes] = []
        self._producer: AIOKafkaProducer | None = None

    async def build(self, job: dict[str, Any]) -> int:
        """Makes the records of `events` events."""
        if self._producer is None:
            self._producer = AIOKafkaProducer(
                bootstrap_servers=job["bootstrap"], acks="all", enable_idempotence=True,
                compression_type=COMPRESSION, max_batch_size=BATCH_BYTES, linger_ms=0,
            )  # fmt: skip
            await self._producer.start()
            await self._producer.partitions_for(job["topic"])
        self._values = records(usage(job["events"], job["prefix"]), [ORGANIZATION])[ORGANIZATION]
        return len(self._values)

    async def send(self, job: dict[str, Any]) -> dict[str, float]:
        """Sends them all, `concurrency` times `batch` in flight; seconds."""
        size = job["batch"]
        batches = iter([self._values[start : start + size] for start in range(0, len(self._values), size)])
        write = self._one_by_one if job["how"] == "send" else self._as_batch

        async def work() -> None:
            for batch in batches:
                await write(job["topic"], batch, record_headers())

        began, used = time.monotonic(), time.process_time()
        await asyncio.gather(*(work() for _ in range(job["concurrency"])))
        return {"seconds": time.monotonic() - began, "cpu_s": time.process_time() - used}

    async def _one_by_one(self, topic: str, batch: list[bytes], headers: list[tuple[str, bytes]]) -> None:
        assert self._producer is not None
        key = ORGANIZATION.encode()
        sent = [await self._producer.send(topic, value, key=key, headers=headers) for value in batch]
        await asyncio.gather(*sent)

    async def _as_batch(self, topic: str, batch: list[bytes], headers: list[tuple[str, bytes]]) -> None:
        assert self._producer is not None
        builder, key = self._producer.create_batch(), ORGANIZATION.encode()
        for value in batch:
            builder.append(timestamp=None, key=key, value=value, headers=headers)
        await (await self._producer.send_batch(builder, topic, partition=0))


async def main() -> None:
    """Answers until standard input ends."""
    bare = Bare()
    await answer_questions({"build": bare.build, "send": bare.send})


if __name__ == "__main__":
    run(main())
