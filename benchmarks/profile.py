"""`python -m benchmarks.profile [ingress] [ledger] [analytics] [webhooks]`: where the CPU goes, in profiles/*.md.

Deterministic profiling (cProfile) makes small functions look dearer than they are; shares count, not sums.
"""

import asyncio
import cProfile
import pstats
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from sysconfig import get_path
from typing import Any, Final

from benchmarks.processes import ROOT, child
from benchmarks.report import machine
from benchmarks.rows.analytics import open_analytics
from benchmarks.rows.ledger import open_ledger
from benchmarks.rows.webhooks import open_webhooks
from benchmarks.world import SECRET, World, add_organization, start_world
from infra.app.loop import run
from infra.app.roles import run_api
from infra.app.server import bind
from infra.telemetry.logs import configure_logs

EVENTS: Final = 20_000
TOP: Final = 28
STDLIB: Final = get_path("stdlib") + "/"
FOLDER: Final = Path(__file__).with_name("profiles")


@contextmanager
def profiled(name: str, events: int, about: str) -> Iterator[None]:
    """Profiles the block and writes `profiles/name.md`."""
    profile, wall, used = cProfile.Profile(time.thread_time), time.monotonic(), time.process_time()
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        wall, used = time.monotonic() - wall, time.process_time() - used
        (FOLDER / f"{name}.md").write_text(_text(name, profile, events, wall, used, about))


def _text(name: str, profile: cProfile.Profile, events: int, wall: float, used: float, about: str) -> str:
    stats: dict[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    lines = [
        f"# {name}",
        "",
        f"{about} {events:,} events; {used / events * 1e6:.1f} us of CPU an event under the profiler (about twice the",
        f"real), {wall / events * 1e6:.1f} us of wall time. {machine()}.",
        "",
        "By own time:",
        "",
        *_table(stats, events, 2),
        "",
        "By time with everything called from there (the project's own functions):",
        "",
        *_table(
            {key: value for key, value in stats.items() if str(ROOT) in key[0] and ".venv" not in key[0]}, events, 3
        ),
    ]
    return "\n".join(lines) + "\n"


def _table(stats: dict[Any, Any], events: int, column: int) -> list[str]:
    ordered = sorted(stats.items(), key=lambda item: -item[1][column])[:TOP]
    rows = [
        f"| {_place(key)} | {value[1] / events:.2f} | {value[2] / events * 1e6:.2f} | {value[3] / events * 1e6:.2f} |"
        for key, value in ordered
    ]
    return ["| function | calls/event | own us/event | total us/event |", "|---|---|---|---|", *rows]


def _place(key: tuple[str, int, str]) -> str:
    file, line, name = key
    if not line:
        return f"`{name}`"
    short = file.replace(str(ROOT) + "/", "")
    short = short.rpartition("site-packages/")[2] if "site-packages" in short else short
    short = short.removeprefix(STDLIB)
    return f"`{short}:{line} {name}`"


async def ledger(world: World) -> None:
    """The credits consumer on a backlog."""
    async with open_ledger(world, 20) as opened, opened.consuming():
        await opened.book(await opened.fill(2_000, "warm"))
        await opened.fill(EVENTS, "p")
        with profiled("ledger", EVENTS, "The credits consumer, Kafka to committed offset, 20 organizations."):
            await opened.book(EVENTS)


async def analytics(world: World) -> None:
    """The analytics consumer on a backlog."""
    async with open_analytics(world, 20, "profile") as opened, opened.consuming():
        await opened.write(await opened.fill(2_000, "warm"))
        await opened.fill(EVENTS, "p")
        with profiled("analytics", EVENTS, "The analytics consumer, Kafka to committed offset, its main thread."):
            await opened.write(EVENTS)


async def webhooks(world: World) -> None:
    """The dispatcher on deliveries that are due."""
    async with open_webhooks(world, EVENTS // 2) as opened:
        await opened.fill("warm")
        await opened.deliver()
        await opened.fill("p")
        with profiled("webhooks", EVENTS // 2, "The dispatcher, from due rows to stored attempts, 8 endpoints."):
            await opened.deliver()


async def ingress(world: World) -> None:
    """The API in this process, batches of 100 and singles."""
    from infra.app.compose import open_clickhouse, open_hub
    from infra.settings import load_settings

    kafka, dsn = await world.kafka(), await world.database()
    key = await add_organization(dsn, "org_bench")
    settings = load_settings(
        kafka_bootstrap=kafka.bootstrap, kafka_topic_prefix=kafka.topics.prefix, postgres_dsn=dsn,
        clickhouse_url="http://127.0.0.1:9", secret=SECRET,
    )  # fmt: skip
    listener, stop = bind("127.0.0.1", None, 0), asyncio.Event()
    port = listener.getsockname()[1]
    async with open_hub(settings, open_clickhouse(settings)) as hub, child("benchmarks.load") as load:
        serving = asyncio.ensure_future(run_api(hub, listener, stop))
        for name, batch, concurrency, about in (
            ("ingress-batch", 100, 8, "`POST /v1/events`, 100 events a request, 8 in flight."),
            ("ingress-single", 0, 64, "`POST /v1/events`, one event a request, 64 in flight."),
        ):
            job = {"batch": batch, "path": "/v1/events", "keys": [key]}
            await load.ask("build", requests=200, prefix=f"warm-{name}", **job)
            await load.ask("send", port=port, concurrency=concurrency)
            await load.ask("build", requests=EVENTS // (batch or 1), prefix=name, **job)
            with profiled(name, EVENTS, about):
                await load.ask("send", port=port, concurrency=concurrency)
        stop.set()
        await serving


PROFILES: Final[dict[str, Callable[[World], Awaitable[None]]]] = {
    "ingress": ingress,
    "ledger": ledger,
    "analytics": analytics,
    "webhooks": webhooks,
}


async def main(names: list[str]) -> None:
    """Profiles these."""
    async with start_world() as world:
        for name in names:
            await PROFILES[name](world)
            print(f"{name} profiled")


if __name__ == "__main__":
    configure_logs("benchmarks", level="ERROR")
    run(main(sys.argv[1:] or list(PROFILES)))
