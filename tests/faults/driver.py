"""The long form: everything is killed all the time, each role and engine at its own pace, until enough were killed."""

import asyncio
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from infra.app.roles import ROLES
from tests.faults import disturb, points
from tests.faults.client import Mix
from tests.faults.healing import FELT
from tests.faults.processes import Child
from tests.faults.run import Run, under_load
from tests.faults.world import ENGINES, World, install

POINTED: Final = 0.6
"""How often a role dies at a named point, not at a random instant."""
GENTLY: Final = 0.15
"""How often it is stopped or terminated instead."""
HEALED_S: Final = 30.0
"""Faults go on without waiting any longer for one to heal."""
PATIENCE_S: Final = 12.0
"""How long a role may take to come to its point; then it is killed wherever it is."""
LIFE_S: Final[dict[str, tuple[float, float]]] = {
    "kafka": (10.0, 20.0),
    "postgres": (6.0, 15.0),
    "clickhouse": (6.0, 15.0),
    "api": (3.0, 7.0),
    "sweeper": (3.0, 9.0),
    "audit": (3.0, 9.0),
    "deadletters": (2.0, 6.0),
}
"""How long they live after they have healed."""
ROLE_LIFE_S: Final = (0.3, 2.0)
SKEW_S: Final = 240.0
"""Machines' clocks are off by so much at most."""
STOPPED_S: Final = 1.5
"""A stopped process sleeps for so many session timeouts."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a run is over; sessions of consumers (None: the product's own 10 s)."""

    kills: int = 100
    seconds: float = 900.0
    session_ms: int | None = 3_000


@dataclass
class Driver:
    """Does the faults; one task a role, an engine and a kind of disturbance."""

    run: Run
    seed: int
    limits: Limits
    say: Callable[[str], None]
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def drive(self) -> None:
        """Returns when enough were killed, or the time is over."""
        reapers = [self._reap_role(role) for role in ROLES] + [self._reap_engine(engine) for engine in ENGINES]
        world, disturbances = self.run.world, dict(disturb.DISTURBANCES)
        disturbances |= (disturb.FULL_DISKS if world.disks else {}) | (disturb.CUTS if world.has_network else {})
        others = [self._disturb(name, work) for name, work in disturbances.items()]
        async with asyncio.TaskGroup() as tasks:
            for work in (*reapers, *others, self._report()):
                tasks.create_task(work)

    def _chance(self, name: str) -> random.Random:
        return random.Random(f"{self.seed} {name}")

    async def _lived(self, seconds: float) -> bool:
        """Whether there is still something to do after so long."""
        try:
            async with asyncio.timeout(seconds):
                await self.enough.wait()
        except TimeoutError:
            return True
        return False

    async def _reap_role(self, role: str) -> None:
        """Lets a process heal and live for a moment (an armed one until its point), then ends it, one way or other."""
        chance = self._chance(role)
        wound: Any = None
        while not self.enough.is_set():
            child = self.run.hub.roles[role]
            if wound is not None and FELT.get(role):
                await self._until(child, HEALED_S, wound.healed)
            await self._until(child, chance.uniform(*LIFE_S.get(role, ROLE_LIFE_S)))
            armed = child in self.run.hub.expected
            if armed:
                await self._until(child, PATIENCE_S)
            if self.enough.is_set():
                return
            if not armed and chance.random() < GENTLY:
                wound = await self._gently(role, chance)
                continue
            point = chance.choice(found) if (found := points.of_role(role)) and chance.random() < POINTED else None
            wound = await self._kill(role, point, chance.randint(1, 4))

    async def _until(self, child: Child, seconds: float, *events: asyncio.Event) -> None:
        """Waits for one of the events, the end of the process, or the end of it all; at most so long."""
        tasks = [asyncio.ensure_future(event.wait()) for event in (self.enough, *events)]
        await asyncio.wait({*tasks, child.ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()

    async def _kill(self, role: str, point: str | None, nth: int) -> Any:
        """Kills the role unless it has killed itself; its successor has the point armed."""
        child = self.run.hub.roles.get(role)
        at_point = child is not None and not child.alive
        self.run.faults["at a named point" if at_point else "at a random instant"] += 1
        return await self.run.kill_role(role, point=point, nth=nth)

    async def _gently(self, role: str, chance: random.Random) -> Any:
        """SIGSTOP for longer than the session, or SIGTERM, which must drain within 15 s."""
        wound = self.run.healing.wound(role)
        child = self.run.hub.roles[role]
        if chance.random() < 0.5:
            self.run.faults["stopped and continued"] += 1
            child.signal(signal.SIGSTOP)
            await self._lived((self.limits.session_ms or 10_000) / 1000 * STOPPED_S)
            child.signal(signal.SIGCONT)
        else:
            self.run.faults["terminated"] += 1
            await self.run.terminate_role(role)
        return wound

    async def _reap_engine(self, engine: str) -> None:
        chance = self._chance(engine)
        while await self._lived(chance.uniform(*LIFE_S[engine])):
            async with self.run.world.one_engine:
                wound = await self.run.kill_engine(engine)
                await self._healed(wound)

    async def _healed(self, wound: Any) -> None:
        """Waits for it, but goes on without it: that many faults at once are part of the run."""
        if FELT.get(wound.target):
            waiting = {asyncio.create_task(wound.healed.wait()), asyncio.create_task(self.enough.wait())}
            await asyncio.wait(waiting, timeout=HEALED_S, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()

    async def _disturb(self, name: str, work: disturb.Disturbance) -> None:
        chance = self._chance(name)
        while await self._lived(chance.uniform(*disturb.EVERY_S[name])):
            self.run.faults[name] += 1
            await work(self.run, chance)

    async def _report(self) -> None:
        began, said = time.monotonic(), 0
        while not self.enough.is_set():
            kills, seconds = sum(self.run.kills.values()), time.monotonic() - began
            if kills >= self.limits.kills or seconds > self.limits.seconds:
                self.enough.set()
            if kills - said >= 20 or self.enough.is_set():
                said = kills
                self.say(f"{kills} kills in {seconds:.0f} s, {len(self.run.record.accepted)} events accepted")
            if self.run.load is not None and self.run.load.done():
                self.enough.set()
                self.run.load.result()
            await asyncio.sleep(0.1)


def skewed_clocks(seed: int) -> dict[str, float]:
    """For each role, how far the clock of its machine is ahead: seconds."""
    chance = random.Random(f"{seed} clocks")
    return {role: round(chance.uniform(-SKEW_S, SKEW_S), 1) for role in ROLES}


async def long_form(world: World, seed: int, limits: Limits, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Kills until the limits are reached, heals, converges, compares; the figures."""
    say(f"seed {seed}")
    hub = await install(world, session_ms=limits.session_ms)
    hub.skews = skewed_clocks(seed)
    async with under_load(world, hub, seed, Mix(requests_s=10)) as run:
        await run.accept(20)
        began = time.monotonic()
        hub.minds_expected = False
        await Driver(run, seed, limits, say).drive()
        minutes = (time.monotonic() - began) / 60
        hub.minds_expected = True
        say("healing")
        await run.disarm()
        verdict = await run.end()
        result = run.result(verdict, seed)
        return result | {
            "kills_total": sum(run.kills.values()),
            "kills_a_minute": round(sum(run.kills.values()) / minutes, 1),
            "session_ms": limits.session_ms or 10_000,
        }
