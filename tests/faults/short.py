"""The short form: every role and engine killed once under load, every disturbance done, then everything compared.

No two machines' clocks agree meanwhile.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from infra.app.roles import ROLES
from tests.faults import disturb
from tests.faults.client import Mix
from tests.faults.driver import skewed_clocks
from tests.faults.run import under_load
from tests.faults.world import ENGINES, World, install

SESSION_MS = 3_000


async def short_form(
    world: World, seed: int, say: Callable[[str], None] = print, session_ms: int | None = SESSION_MS
) -> dict[str, Any]:
    """Kills all roles within two seconds, then each engine in turn, then every disturbance; heals after each."""
    say(f"seed {seed}")
    chance = random.Random(seed)
    hub = await install(world, session_ms=session_ms)
    hub.skews = skewed_clocks(seed)
    async with under_load(world, hub, seed, Mix(requests_s=8)) as run:
        await run.accept(60)
        wounds = []
        for role in chance.sample(list(ROLES), len(ROLES)):
            wounds.append(await run.kill_role(role))
            await asyncio.sleep(chance.uniform(0, 0.3))
        for wound in wounds:
            await run.heal(wound)
        for engine in chance.sample(ENGINES, len(ENGINES)):
            wound = await run.kill_engine(engine)
            await run.heal(wound)
        await disturb.each(run, disturb.DISTURBANCES, chance)
        verdict = await run.end()
        return run.result(verdict, seed)
