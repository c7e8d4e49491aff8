"""Single events at three times what one ingress process can take: what it accepts, what it refuses, what is lost."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import orjson

from benchmarks.measure import Size, percentile
from benchmarks.processes import Child, child, memory_mb
from benchmarks.report import Row
from benchmarks.world import World, add_organization, api_process
from contracts.topics import USAGE
from infra.kafka.log import LogReader
from infra.kafka.options import KafkaOptions

ORGANIZATION: Final = "org_bench"
CALM: Final = 64
"""Requests at once when capacity is measured."""
CONNECTIONS: Final = 800
TIMES: Final = 3
SECONDS: Final = 8
CALM_EVENTS: Final = 10_000
SAMPLE_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Flood:
    """What came of it."""

    accepted: list[str]
    took: list[float]
    statuses: Counter[int]
    untold: int
    seconds: float


async def measure(world: World, size: Size) -> list[Row]:
    """The rows."""
    kafka, dsn = await world.kafka(), await world.database()
    key = await add_organization(dsn, ORGANIZATION)
    async with api_process(world, kafka, dsn) as (pid, port), child("benchmarks.load") as load:
        await _send(load, port, key, "warm", 1_000, CALM, None)
        calm = await _send(load, port, key, "calm", size.events(CALM_EVENTS), CALM, None)
        capacity = len(calm.accepted) / calm.seconds
        before, peaks = memory_mb(pid), list[float]()
        sampling = asyncio.create_task(_sample(pid, peaks))
        count = int(capacity * TIMES * max(3.0, SECONDS * size.scale))
        flood = await _send(load, port, key, "flood", count, CONNECTIONS, capacity * TIMES)
        sampling.cancel()
        after = memory_mb(pid)
    lost = len(set(calm.accepted + flood.accepted) - await _on_kafka(kafka))
    answers = ", ".join(f"{status}: {n:,}" for status, n in sorted(flood.statuses.items()))
    offered = count / flood.seconds
    return [
        Row("flood", len(flood.accepted) / flood.seconds, "events/s accepted", capacity, 0.5,
            note=f"singles, {offered:,.0f}/s offered over {CONNECTIONS} connections; {answers}; limit: {CALM} at once"),
        Row("flood.p99", percentile(flood.took, 0.99) * 1000, "ms p99 of accepted", None, 500, "<=", "value",
            note=f"at capacity {percentile(calm.took, 0.99) * 1000:.0f} ms"),
        Row("flood.memory", max(peaks, default=after), "MB at most", before, 1.5, "<=",
            note=f"PSS of the process during it; limit: before; after {after:.0f} MB"),
        Row("flood.lost", float(lost + flood.untold), "events", None, 0, "<=", "value",
            note="answered 202 and not on Kafka; and refusals without Retry-After"),
    ]  # fmt: skip


async def _send(
    load: Child, port: int, key: str, prefix: str, count: int, connections: int, rate: float | None
) -> Flood:
    await load.ask("build", requests=count, batch=0, prefix=prefix, path="/v1/events", keys=[key])
    sent: dict[str, Any] = await load.ask("send", port=port, concurrency=connections, rate=rate, times=True)
    good = [number for number, status in enumerate(sent["statuses"]) if status == 202]
    return Flood(
        [f"{prefix}-{number}" for number in good],
        [sent["took"][number] for number in good],
        Counter(sent["statuses"]),
        sent["untold"],
        sent["seconds"],
    )


async def _sample(pid: int, peaks: list[float]) -> None:
    while True:
        peaks.append(memory_mb(pid))
        await asyncio.sleep(SAMPLE_S)


async def _on_kafka(kafka: KafkaOptions) -> set[str]:
    """Every event id in the topic."""
    reader, found = LogReader(kafka), set[str]()
    for partition in range(await reader.partitions(USAGE)):
        async for record in reader.scan(USAGE, partition):
            found.add(orjson.loads(record.value or b"")["id"])
    await reader.close()
    return found
