"""What is done to a process before it runs a role: points, mutants, shorter sessions, a clock that is off.

`python -m tests.faults.patched ROLE [--point NAME] [--nth N] [--mutant NAME]` runs a role that way by hand;
`--check` instead of a role tells which points and mutants do not fit the product any more.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from infra.clock import SystemClock
from tests.faults import mutants, points


def apply(patches: Sequence[dict[str, Any]]) -> None:
    """Applies the patches in their order: mutants first, so that points stand around what they do."""
    for patch in patches:
        if patch["kind"] == "point":
            points.arm(patch["name"], patch.get("nth", 1), signal.Signals(patch.get("signal", signal.SIGKILL)))
        elif patch["kind"] == "mutant":
            mutants.MUTANTS[patch["name"]].apply()
        elif patch["kind"] == "session":
            _shorter_sessions(patch["ms"])
        elif patch["kind"] == "skew":
            _skew(patch["seconds"])


def _skew(seconds: float) -> None:
    """The machine's clock is ahead (or behind), for the hub and for what stands under it."""
    own_time, now = time.time, SystemClock.now
    time.time = lambda: own_time() + seconds
    SystemClock.now = lambda self: now(self) + timedelta(seconds=seconds)  # type: ignore[method-assign]


def _shorter_sessions(ms: int) -> None:
    """Consumers that are dead after `ms`: a run holds more kills so. The product's own is 10 s."""
    from consumers.analytics import app as analytics
    from infra.kafka.subscriber import Tuning

    names = list(Tuning.__dataclass_fields__)
    defaults = list(Tuning.__init__.__defaults__ or ())
    changed = {"session_timeout_ms": ms, "heartbeat_interval_ms": min(1_000, ms // 4)}
    for name, value in changed.items():
        defaults[names.index(name)] = value
        object.__setattr__(analytics.TUNING, name, value)
    Tuning.__init__.__defaults__ = tuple(defaults)


def misfits() -> list[str]:
    """Points and mutants that no longer find what they replace; each is tried in a process of its own."""
    import infra.app.role  # noqa: F401 - imported once, for all children

    patches = [{"kind": "point", "name": name} for name in points.POINTS]
    patches += [{"kind": "mutant", "name": name} for name in mutants.MUTANTS]
    return [patch["name"] for patch in patches if not _fits(patch)]


def _fits(patch: dict[str, Any]) -> bool:
    pid = os.fork()
    if not pid:
        code = 1
        try:
            apply([patch])
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1] == 0


def main() -> None:
    """Runs one role by hand."""
    if sys.argv[1:] == ["--check"]:
        sys.exit(" ".join(misfits()) or None)
    parser = argparse.ArgumentParser()
    parser.add_argument("role")
    parser.add_argument("--point", choices=sorted(points.POINTS))
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--mutant", choices=sorted(mutants.MUTANTS))
    arguments = parser.parse_args()
    patches: list[dict[str, Any]] = []
    if arguments.mutant:
        patches.append({"kind": "mutant", "name": arguments.mutant})
    if arguments.point:
        patches.append({"kind": "point", "name": arguments.point, "nth": arguments.nth})
    apply(patches)
    sys.argv = ["aihub", "run", arguments.role]
    from infra.app.cli import main as aihub

    aihub()


if __name__ == "__main__":
    main()
