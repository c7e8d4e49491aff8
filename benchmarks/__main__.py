"""`python -m benchmarks [ROW ...] [--quick | --full]`: measures, prints the table, writes results.json."""

import argparse
import asyncio
import importlib
import signal
import time
from typing import Final

from benchmarks.measure import FULL, NORMAL, QUICK, Size
from benchmarks.report import RESULTS, Row, machine, save, show
from benchmarks.world import start_world
from infra.app.loop import run
from infra.telemetry.logs import configure_logs

GROUPS: Final = (
    "ingest",
    "single",
    "ledger",
    "analytics",
    "webhooks",
    "flood",
    "limiter",
    "access",
    "catch_up",
    "latency",
    "memory",
    "sessions",
    "identity",
    "growth",
)
GROUP_S: Final = 150.0
"""No group takes longer in a normal run."""
ONLY_FULL: Final = ("growth",)


async def measure(names: list[str], size: Size) -> list[Row]:
    """The rows of these groups, each group in engines that it shares with the others."""
    rows: list[Row] = []
    work = asyncio.current_task()
    assert work is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    async with start_world() as world:
        for name in names:
            began = time.monotonic()
            async with asyncio.timeout(GROUP_S * (10 if size.full else 1)):
                found = await importlib.import_module(f"benchmarks.rows.{name}").measure(world, size)
            rows += found
            print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
            show(found)
    return rows


def main() -> None:
    """Parses the command line and measures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[*GROUPS, []], help="groups of rows; default: all")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_true", help="fewer events and repetitions: about 5 minutes")
    sizes.add_argument("--full", action="store_true", help="a million events and growth: half an hour")
    arguments = parser.parse_args()
    size = QUICK if arguments.quick else FULL if arguments.full else NORMAL
    names = arguments.rows or [name for name in GROUPS if size.full or name not in ONLY_FULL]
    configure_logs("benchmarks", level="ERROR")
    about = machine()
    rows = run(measure(names, size))
    save(rows, about)
    print(about)
    show(rows)
    print(f"written to {RESULTS}; goals missed: {', '.join(row.name for row in rows if row.met is False) or 'none'}")


if __name__ == "__main__":
    main()
