"""Carries a plan out, on the product or on a mutant of it, in an installation of its own."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import asyncpg

from infra.app.roles import ROLES
from tests.faults.books import Verdict
from tests.faults.client import Mix
from tests.faults.mutants import MUTANTS
from tests.faults.plans import Plan
from tests.faults.processes import Child
from tests.faults.run import Run, under_load
from tests.faults.world import World, install
from tests.support.eventually import eventually

SESSION_MS: Final = 3_000
CONVERGE_S: Final = 40.0
REACHED_S: Final = 40.0
DOWN_S: Final = 1.5
"""How long an outage lasts."""
EARLY, LATE = 40, 80
"""Events before an outage, and before a role that is late."""


async def carry_out(world: World, plan: Plan, seed: int, mutant: str | None = None) -> tuple[Run, Verdict]:
    """What became of everything under this plan."""
    mutants = {MUTANTS[mutant].role: mutant} if mutant else {}
    hub = await install(world, session_ms=SESSION_MS, mutants=mutants)
    roles = [role for role in ROLES if not (role == plan.role and (plan.late or plan.stale_lease))]
    if plan.point is not None:
        hub.armed[plan.role] = (plan.point, plan.nth)
    mix = Mix(requests_s=10, batch=8, duplicates=plan.duplicates, conflicts=plan.conflicts)
    async with under_load(world, hub, seed, mix, roles=roles) as run:
        await _fault(run, plan)
        await run.accept(plan.after)
        verdict = await run.end(CONVERGE_S if mutant is None else CONVERGE_S / 2)
        verdict.wrong += await _stale(run)
        return run, verdict


async def _fault(run: Run, plan: Plan) -> None:
    if plan.stale_lease:
        await stale_lease(run)
    elif plan.late:
        await run.accept(LATE)
        await run.hub.start(plan.role)
    elif plan.point is not None:
        await eventually(lambda: run.hub.deaths[plan.role], within_s=REACHED_S)
        run.kills[plan.role] += 1
    elif plan.outage is not None:
        await run.accept(EARLY)
        server = run.world.engines.postgres if plan.outage == "postgres" else run.world.engines.kafka
        await server.kill()
        run.kills[plan.outage] += 1
        await asyncio.sleep(DOWN_S)
        await server.start()


async def stale_lease(run: Run) -> None:
    """A dispatcher sleeps between sending and writing down until another sends the same; then both write."""
    release, again = asyncio.Event(), asyncio.Event()
    first: list[str] = []

    async def answer(name: str, time: int) -> int:
        first.append(name)
        if name != first[0]:
            return 204
        if time == 1:
            return 500
        again.set()
        await asyncio.wait_for(release.wait(), 12)
        return 204

    run.receiver.answer = answer
    slow = await run.hub.spawn("deliveries", point="deliveries_after_send", how=signal.SIGSTOP, instance="slow")
    await eventually(lambda: _is_stopped(slow), within_s=REACHED_S)
    await run.hub.start("deliveries")
    await asyncio.wait_for(again.wait(), 30)
    slow.signal(signal.SIGCONT)
    code = await slow.terminate()  # it writes down what it has before it ends
    release.set()
    run.faults["stale lease"] += 1
    if code != 0:
        run.problems.append(f"the dispatcher that had slept ended with {code} after SIGTERM")


def _is_stopped(child: Child) -> bool:
    stat = Path(f"/proc/{child.started.result()}/stat").read_text()
    return stat.rsplit(")", 1)[1].split()[0] == "T"


async def _stale(run: Run) -> list[str]:
    """Deliveries whose receiver said 204 at last and that were written down more than once."""
    connection = await asyncpg.connect(run.hub.dsn)
    rows = await connection.fetch("SELECT delivery_id, count(*) FROM webhook_attempts GROUP BY 1 HAVING count(*) > 1")
    await connection.close()
    return [f"{n} attempts were recorded of delivery {delivery}, one had the lease" for delivery, n in rows]


def caught(mutant: str, verdict: Verdict) -> bool:
    """Whether the verdict shows the mutant's own trace."""
    return any(MUTANTS[mutant].shows in line for line in (*verdict.lost, *verdict.doubled, *verdict.wrong))


async def hunt(world: World, mutant: str, seed: int, say: Callable[[str], None]) -> bool:
    """Whether the mutant was caught; says how."""
    found = MUTANTS[mutant]
    _, verdict = await carry_out(world, found.plan, seed, mutant)
    for line in verdict.lines():
        say(f"  {line}")
    is_caught = caught(mutant, verdict)
    say(f"{mutant} ({found.role} {found.says}): {'caught' if is_caught else 'SURVIVED'}")
    return is_caught
