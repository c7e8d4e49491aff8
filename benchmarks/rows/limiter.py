"""Rate limits: a decision that PostgreSQL takes part in, against its bare UPSERT; and those that memory answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Final, NamedTuple

import asyncpg

from api.core.limits import Limiter
from api.core.principal import Principal
from api.core.request_ids import Context
from benchmarks.measure import Size, interleaved, median
from benchmarks.report import Row
from benchmarks.world import World, add_organization
from contracts.errors import RateLimited
from contracts.rules.limits import DEFAULT, INGEST, Limits
from infra.clock import SystemClock
from infra.postgres.database import Database

DECISIONS: Final = 4_000
IN_MEMORY: Final = 50_000
CONNECTIONS: Final = 4
CONCURRENCY: Final = 32
UPSERT: Final = """
    INSERT INTO rate_limits AS r (subject, began_at, used, granted) VALUES ($1, now(), 1, 1)
    ON CONFLICT (subject) DO UPDATE SET used = r.used + 1 RETURNING began_at, used
"""


class Took(NamedTuple):
    """Decisions a second, and microseconds of this process's CPU for each."""

    rate: float
    cpu_us: float


async def measure(world: World, size: Size) -> list[Row]:
    """The rows."""
    dsn, many = await world.database(), size.events(DECISIONS)
    await add_organization(dsn, "org_bench")
    database = Database.open(dsn, pool_size=2)
    pool = await asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS)
    limiter = Limiter(database, SystemClock(), Limits(plans={"unlimited": 10**9}))
    context, subjects = Context("req_bench", {}), count()

    async def decide(_number: int) -> Took:
        async def one() -> None:
            await limiter.admit(context, _principal(f"key_{next(subjects)}"), DEFAULT)

        return await _timed(one, many)

    async def bare(_number: int) -> Took:
        async def one() -> None:
            await pool.fetchrow(UPSERT, f"bare_{next(subjects)}")

        return await _timed(one, many)

    found = await interleaved({"hub": decide, "bare": bare}, size.repetitions)
    refused = await _refused(limiter, context)
    spent = await _timed(lambda: limiter.admit(context, _principal("key_ingest"), INGEST), IN_MEMORY)
    await pool.close()
    await database.close()
    rate = {name: median(one.rate for one in all_) for name, all_ in found.items()}
    cpu = {name: median(one.cpu_us for one in all_) for name, all_ in found.items()}
    return [
        Row("limiter", rate["hub"], "decisions/s", rate["bare"], 0.5,
            note=f"{CONCURRENCY} at once, a subject each, {CONNECTIONS} connections; limit: asyncpg's bare UPSERT"),
        Row("limiter.cpu", cpu["hub"], "us CPU", note=f"of the API's process; the bare UPSERT {cpu['bare']:.0f}"),
        Row("limiter.refused", refused.cpu_us, "us CPU", note="a refusal that is remembered"),
        Row("limiter.ingest", spent.cpu_us, "us CPU", note="a post of events under a plan: spent from a block"),
    ]  # fmt: skip


def _principal(key: str) -> Principal:
    return Principal(key, "org_bench", frozenset())


async def _refused(limiter: Limiter, context: Context) -> Took:
    async def one() -> None:
        try:
            await limiter.admit(context, _principal("key_refused"), DEFAULT)
        except RateLimited:
            return

    await _timed(one, 100)
    return await _timed(one, IN_MEMORY)


async def _timed(one: Callable[[], Awaitable[None]], times: int) -> Took:
    left = iter(range(times))

    async def worker() -> None:
        for _ in left:
            await one()

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))
    return Took(times / (time.perf_counter() - began), (time.process_time() - cpu) / times * 1e6)
