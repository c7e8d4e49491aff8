"""Batch ingest: `aihub run api` against aiokafka alone; and the CPU that the ingress uses."""

from dataclasses import dataclass
from typing import Final

from benchmarks.measure import Size, interleaved, median
from benchmarks.processes import Child, child, cpu_s
from benchmarks.report import Row
from benchmarks.world import World, add_organization, api_process
from contracts.topics import USAGE

BATCH: Final = 100
IN_FLIGHT: Final = 8
EVENTS: Final = 40_000
ORGANIZATION: Final = "org_bench"
OPENMETER_CPU_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Took:
    """One repetition: events a second, and seconds of CPU per 1,000 events."""

    rate: float
    cpu_s: float


async def measure(world: World, size: Size) -> list[Row]:
    """The three rows."""
    kafka, dsn = await world.kafka(), await world.database()
    key = await add_organization(dsn, ORGANIZATION)
    events = size.events(EVENTS, BATCH)
    topic = kafka.name(USAGE)
    async with (
        api_process(world, kafka, dsn) as (pid, port),
        child("benchmarks.load") as load,
        child("benchmarks.bare.producer") as bare,
    ):

        async def hub(number: int, count: int = events) -> Took:
            await load.ask("build", requests=count // BATCH, batch=BATCH, prefix=f"b{number}", path="/v1/events",
                           keys=[key])  # fmt: skip
            before = cpu_s(pid)
            done = await load.ask("send", port=port, concurrency=IN_FLIGHT)
            assert not done["refused"], done["refused"]
            return Took(count / done["seconds"], (cpu_s(pid) - before) / count * 1000)

        async def raw(how: str, number: int) -> Took:
            await bare.ask("build", bootstrap=kafka.bootstrap, topic=topic, events=events, prefix=f"{how}{number}")
            return await _send(bare, topic, events, how)

        await hub(-1, 2_000)
        found = await interleaved(
            {"hub": hub, "send": lambda number: raw("send", number), "batch": lambda number: raw("batch", number)},
            size.repetitions,
        )
    rate = {name: median(took.rate for took in all_) for name, all_ in found.items()}
    cpu = median(took.cpu_s for took in found["hub"])
    in_flight = f"{IN_FLIGHT} requests of {BATCH} in flight, one API process"
    return [
        Row("ingest.batch", rate["hub"], "events/s", rate["send"], 0.35, note=f"{in_flight}; limit: aiokafka send()"),
        Row("ingest.batch.of_send_batch", rate["hub"], "events/s", rate["batch"],
            note="the same against aiokafka's send_batch of 100 records, the harder limit"),
        Row("ingest.batch.cpu", cpu, "CPU-s per 1,000", OPENMETER_CPU_S, 0.03, "<=", "value",
            note="limit: OpenMeter as measured, without waiting for the broker"),
    ]  # fmt: skip


async def _send(bare: Child, topic: str, events: int, how: str) -> Took:
    done = await bare.ask("send", topic=topic, how=how, concurrency=IN_FLIGHT, batch=BATCH)
    return Took(events / done["seconds"], done["cpu_s"] / events * 1000)
