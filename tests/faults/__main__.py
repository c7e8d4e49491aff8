"""`python -m tests.faults [--seed n] [--kills n] [--mutant name] [--scenario name] [--result FILE]`.

Exit code 0 when nothing was lost or doubled and the books balance; 1 otherwise, and when a mutant was caught.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from infra.embedded.jars import kafka_jars
from infra.telemetry.logs import configure_logs
from tests.faults import network
from tests.faults.disks import mount_privately, small_disks, why_not
from tests.faults.driver import Limits, long_form
from tests.faults.mutants import MUTANTS
from tests.faults.scenario import hunt
from tests.faults.scenarios import SCENARIOS
from tests.faults.world import start_world


def quiet() -> None:
    """Only errors: engines that are away are what this is about."""
    configure_logs("faults", level="ERROR", stream=sys.stderr)
    for name in ("aiokafka", "clickhouse_connect", "clickhouse_connect.driver", "asyncio", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def _run(arguments: argparse.Namespace, home: Path) -> tuple[dict[str, Any], bool]:
    async with start_world(home) as world:
        world.has_network = not network.why_not()
        if arguments.mutant:
            is_caught = await hunt(world, arguments.mutant, arguments.seed, say)
            return {"mutant": arguments.mutant, "caught": is_caught, "seed": arguments.seed}, not is_caught
        if arguments.scenario:
            return await SCENARIOS[arguments.scenario](world, arguments.seed)
        limits = Limits(arguments.kills, arguments.seconds, arguments.session_ms or None)
        async with contextlib.AsyncExitStack() as stack:
            if why := why_not():
                say(f"no full disks: {why}")
            else:
                world.disks = await stack.enter_async_context(small_disks(world.engines))
            result = await long_form(world, arguments.seed, limits, say)
        return result, good(result)


def good(result: dict[str, Any]) -> bool:
    """Whether the run proves what it should."""
    return bool(result["reconcile_clean"]) and not (result["lost"] or result["doubled"] or result["wrong"])


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=1800, help="stop killing after this long")
    parser.add_argument(
        "--session-ms", type=int, default=3_000, help="consumers' session timeout; 0: the product's own"
    )
    parser.add_argument("--mutant", choices=sorted(MUTANTS))
    parser.add_argument("--scenario", choices=sorted(SCENARIOS))
    parser.add_argument("--result", type=Path)
    parser.add_argument("--home", type=Path, help="keep everything there; default: a temporary directory")
    arguments = parser.parse_args()
    quiet()
    if why := network.why_not():
        say(f"no engine is cut off: {why}")
    else:
        kafka_jars()  # from the registry, if they are not here yet: that cannot be reached from a network of its own
        network.isolate()
    if not why_not():
        mount_privately()
    home = arguments.home or Path(tempfile.mkdtemp(prefix="aihub-faults-"))
    ended = False
    try:
        result, ended = asyncio.run(_run(arguments, home))
    finally:
        if ended and arguments.home is None:
            shutil.rmtree(home, ignore_errors=True)
        else:
            say(f"logs: {home}")
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.result is not None:
        arguments.result.write_text(text + "\n")
    return 0 if ended else 1


if __name__ == "__main__":
    sys.exit(main())
