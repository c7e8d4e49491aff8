"""Access checks: of a member who is remembered, and of one who must be looked up."""

import time
from collections.abc import Awaitable, Callable
from typing import Final, cast

import asyncpg

from api.access import service
from api.access.schemas import CheckIn
from api.core.principal import Kind, Principal
from api.core.standings import Standings
from api.deps import Deps
from benchmarks.measure import Size, interleaved, median, percentile
from benchmarks.report import Row
from benchmarks.world import World, add_organization
from infra.clock import SystemClock
from infra.postgres import members, users
from infra.postgres.database import Database
from infra.postgres.users import UserRow

ORGANIZATION: Final = "org_access"
USER: Final = "user_access"
CHECKS: Final = 20_000
LOOK_UPS: Final = 400
DEADLINE_S: Final = 5.0
QUESTION: Final = [CheckIn(permission="credits:read", user_id=USER)]
WHO: Final = Principal("key_access", ORGANIZATION, frozenset(("users:read",)), kind=Kind.KEY)
NO_DEPS: Final = cast(Deps, None)
"""A check without a resource stands on memory only."""
STATEMENTS: Final = (
    """SELECT u.status, m.owner, o.policy FROM memberships m JOIN users u ON u.id = m.user_id
        JOIN organizations o ON o.id = m.organization_id WHERE m.organization_id = $1 AND m.user_id = $2""",
    "SELECT role_id, team_id FROM role_assignments WHERE organization_id = $1 AND user_id = $2",
    "SELECT id, name, permissions, inherits FROM roles WHERE organization_id = $1 AND $2 <> ''",
)


async def measure(world: World, size: Size) -> list[Row]:
    """The rows."""
    dsn = await world.database()
    await add_organization(dsn, ORGANIZATION)
    database, bare = Database.open(dsn), await asyncpg.connect(dsn)
    await _add_member(database)
    known, took = Standings(database, SystemClock(), DEADLINE_S), []
    await service.check(NO_DEPS, known, WHO, QUESTION)

    async def cached(_number: int) -> float:
        began, count = time.process_time(), size.events(CHECKS)
        for _ in range(count):
            await service.check(NO_DEPS, known, WHO, QUESTION)
        return (time.process_time() - began) / count * 1_000

    async def uncached(_number: int) -> float:
        async def look() -> None:
            answers = await service.check(NO_DEPS, Standings(database, SystemClock(), DEADLINE_S), WHO, QUESTION)
            assert answers[0].allowed

        found = await _each(look, size.events(LOOK_UPS))
        took.extend(found)
        return median(found)

    async def statements(_number: int) -> float:
        async def ask() -> None:
            async with bare.transaction():
                for sql in STATEMENTS:
                    await bare.fetch(sql, ORGANIZATION, USER)

        return median(await _each(ask, size.events(LOOK_UPS)))

    found = await interleaved({"cached": cached, "uncached": uncached, "bare": statements}, size.repetitions)
    await bare.close()
    await database.close()
    ms = {name: median(values) for name, values in found.items()}
    return [
        Row("access.cached", ms["cached"], "CPU-ms a check", None, 1.0, "<=", "value", note="asked again"),
        Row("access.uncached", ms["uncached"], "ms a check", ms["bare"], note="limit: the same statements by asyncpg"),
        Row("access.uncached.p99", percentile(took, 0.99), "ms p99"),
    ]  # fmt: skip


async def _each(act: Callable[[], Awaitable[None]], count: int) -> list[float]:
    """How long each took, in milliseconds."""
    took = []
    for _ in range(count):
        began = time.perf_counter()
        await act()
        took.append((time.perf_counter() - began) * 1_000)
    return took


async def _add_member(database: Database) -> None:
    now = SystemClock().now()
    async with database.unscoped() as tx:
        await users.save_user(tx, UserRow(USER, "a@example.com", now, None, "en", None, None, "active", now, now, 1))
        await members.save_member(tx, ORGANIZATION, USER, owner=False, now=now)
        await members.assign(tx, ORGANIZATION, USER, "manager", by="benchmark", now=now)
