"""Single-event ingest at concurrency 64: `aihub run api` against a bare FastAPI route with the same producer."""

import sys
from typing import Final

from benchmarks.measure import Size, interleaved, median, percentile
from benchmarks.processes import child, cpu_s, running
from benchmarks.report import Row
from benchmarks.rows.ingest import ORGANIZATION, Took
from benchmarks.world import World, add_organization, api_process, free_port, until_listening

CONCURRENCY: Final = 64
EVENTS: Final = 10_000
OPENMETER_CPU_S: Final = 0.19


async def measure(world: World, size: Size) -> list[Row]:
    """The rows."""
    kafka, dsn = await world.kafka(), await world.database()
    key = await add_organization(dsn, ORGANIZATION)
    events, bare_port = size.events(EVENTS), free_port()
    took: list[float] = []
    route = [sys.executable, "-m", "benchmarks.bare.fastapi_route", str(bare_port), kafka.bootstrap]
    async with (
        api_process(world, kafka, dsn) as (pid, port),
        running([*route, kafka.topics.prefix], {}, log=world.home / "bare.log") as bare,
        child("benchmarks.load") as load,
    ):
        await until_listening(bare_port)

        async def send(number: int, pid: int, port: int, path: str, media_type: str, count: int = events) -> Took:
            await load.ask("build", requests=count, batch=0, prefix=f"s{pid}-{number}", path=path, keys=[key],
                           media_type=media_type)  # fmt: skip
            before = cpu_s(pid)
            done = await load.ask("send", port=port, concurrency=CONCURRENCY)
            assert not done["refused"], done["refused"]
            if pid != bare.pid:
                took.extend(done["took"])
            return Took(count / done["seconds"], (cpu_s(pid) - before) / count * 1000)

        hub = (pid, port, "/v1/events", "application/cloudevents+json")
        limit = (bare.pid, bare_port, "/events", "application/json")
        await send(-1, *hub, 500)
        await send(-1, *limit, 500)
        took.clear()
        found = await interleaved(
            {"hub": lambda number: send(number, *hub), "bare": lambda number: send(number, *limit)}, size.repetitions
        )
    rate = {name: median(one.rate for one in all_) for name, all_ in found.items()}
    cpu = {name: median(one.cpu_s for one in all_) for name, all_ in found.items()}
    return [
        Row("ingest.single", rate["hub"], "events/s", rate["bare"], 0.6,
            note=f"concurrency {CONCURRENCY}; limit: bare FastAPI route, same model and producer, awaited"),
        Row("ingest.single.cpu", cpu["hub"], "CPU-s per 1,000", OPENMETER_CPU_S, 0.15, "<=", "value",
            note=f"limit: OpenMeter as measured; the bare route used {cpu['bare']:.3f}"),
        Row("ingest.single.p99", percentile(took, 0.99) * 1000, "ms p99", note=f"concurrency {CONCURRENCY}"),
    ]  # fmt: skip
