"""One run: an installation under load, faults done to it, and the verdict."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from infra.app.roles import ROLES
from tests.faults.books import Verdict, judge
from tests.faults.client import Client, Mix, Record
from tests.faults.healing import AFTERWARDS, Healing, Wound
from tests.faults.receiver import Receiver, subscribe
from tests.faults.world import ENGINES, Installation, World
from tests.support.eventually import eventually

CONVERGE_S: Final = 120.0
HEAL_S: Final = 60.0


@dataclass
class Run:
    """What faults are done to: the hub, its load and its receiver. `kills` and `faults` count what was done.

    `felt` counts refusals that were met by the hub.
    """

    world: World
    hub: Installation
    client: Client
    receiver: Receiver
    healing: Healing
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    felt: Counter[str] = field(default_factory=Counter)
    poison: list[tuple[str, int, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    load: asyncio.Task[None] | None = None

    @property
    def record(self) -> Record:
        return self.client.record

    async def accept(self, events: int, within_s: float = HEAL_S) -> None:
        """Waits until so many more events are accepted."""
        wanted = len(self.record.accepted) + events
        await eventually(lambda: len(self.record.accepted) >= wanted, within_s=within_s)

    async def kill_role(self, role: str, *, point: str | None = None, nth: int = 1) -> Wound:
        """kill -9 of a role, back at once (with a point armed, if so wanted)."""
        wound = self.healing.wound(role)
        self.kills[role] += 1
        await self.hub.kill(role, point=point, nth=nth)
        return wound

    async def terminate_role(self, role: str, *, again: bool = True) -> None:
        """SIGTERM: it must drain and exit with 0 within 15 s; back afterwards."""
        child = self.hub.roles.pop(role)
        armed = child in self.hub.expected
        if (code := await child.terminate()) != 0 and not armed:
            self.problems.append(f"{role} ended with {code} after SIGTERM; see {child.log}")
        if again:
            await self.hub.start(role)

    async def disarm(self) -> None:
        """Processes that wait for their point are replaced by ones that have none."""
        for role, child in list(self.hub.roles.items()):
            child.signal(signal.SIGCONT)
            if child in self.hub.expected:
                await self.terminate_role(role)

    async def kill_engine(self, engine: str) -> Wound:
        """kill -9 of an engine, and its return."""
        wound = self.healing.wound(engine)
        self.kills[engine] += 1
        if engine == "clickhouse":
            assert self.world.front is not None
            await self.world.front.kill()
            await self.world.start_clickhouse()
        else:
            server = self.world.engines.kafka if engine == "kafka" else self.world.engines.postgres
            await server.kill()
            await server.start()
        return wound

    async def heal(self, wound: Wound, within_s: float = HEAL_S) -> None:
        """Waits until the fault is not felt any more; one that takes longer is a problem of the verdict."""
        assert self.load is not None
        healing = asyncio.create_task(wound.healed.wait())
        await asyncio.wait({healing, self.load}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        healing.cancel()
        if self.load.done():
            self.load.result()
        if not wound.healed.is_set():
            self.problems.append(f"{wound.target} did not heal within {within_s:g} s")

    async def end(self, within_s: float = CONVERGE_S) -> Verdict:
        """Ends the load (every request gets its 202), waits until all has arrived, and judges."""
        self.client.stop.set()
        if self.load is not None:
            try:
                await asyncio.wait_for(self.load, within_s)
            except TimeoutError:
                self.problems.append(f"the client got no 202 within {within_s:g} s after the faults")
        verdict = await judge(self.hub, self.record, self.receiver, within_s, self.poison)
        verdict.wrong += self.problems
        return verdict

    def result(self, verdict: Verdict, seed: int) -> dict[str, Any]:
        """The figures as the page asks for them, and what else is worth knowing."""
        return {
            "kills": {name: self.kills[name] for name in (*ROLES, *ENGINES)},
            "events_accepted": verdict.accepted,
            "lost": len(verdict.lost),
            "doubled": len(verdict.doubled),
            "reconcile_clean": verdict.clean,
            "heal_seconds": _percentiles(self.healing.seconds()),
            "seed": seed,
            "wrong": len(verdict.wrong),
            "heal_by_target": {
                name: _percentiles(found)
                for name in (*ROLES, *ENGINES, AFTERWARDS)
                if (found := self.healing.seconds(name))
            },
            "other_faults": dict(self.faults),
            "felt": dict(self.felt),
            "conflicts_refused": len(self.record.conflicts),
            "requests": self.record.requests,
            "answers": dict(sorted(self.record.answers.items())),
            "problems": verdict.lines(),
        }


def _percentiles(found: Sequence[float]) -> dict[str, float]:
    if not found:
        return {"p50": 0.0, "max": 0.0}
    return {"p50": round(found[len(found) // 2], 2), "max": round(found[-1], 2)}


@asynccontextmanager
async def under_load(
    world: World, hub: Installation, seed: int, mix: Mix, *, roles: Sequence[str] = tuple(ROLES)
) -> AsyncIterator[Run]:
    """A run whose roles are up and whose client sends; roles that end come back. Roles are stopped at the end."""
    client = Client(hub.url, hub.keys, seed, mix)
    async with Receiver(client.record.source).running() as receiver:
        healing = Healing(hub, client.record, receiver)
        async with healing.running():
            await hub.start_all(roles)
            await subscribe(hub, receiver)
            run = Run(world, hub, client, receiver, healing)
            minding = asyncio.create_task(hub.mind())
            run.load = asyncio.create_task(client.run())
            try:
                yield run
                for task in (run.load, minding):
                    if task.done():
                        task.result()
            finally:
                client.stop.set()
                run.load.cancel()
                minding.cancel()
                await asyncio.wait({run.load, minding})
                await hub.stop()
