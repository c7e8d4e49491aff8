"""Rate limits: held in PostgreSQL across processes, decided after authentication."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from api.core.limit_headers import headers_of, seconds_until
from api.core.principal import Kind, Principal
from api.core.remembered import MAX_REMEMBERED, Remembered
from api.core.request_ids import Context
from contracts.errors import DatabaseUnavailable, RateLimited
from contracts.rules.limits import DEFAULT, EXEMPT, INGEST, STRICT, WINDOW_S, Limits, block_of, network_of, role_of
from infra.clock import Clock
from infra.postgres import limits as store
from infra.postgres.database import Database
from infra.telemetry.metrics import LIMITED_REQUESTS, LIMITER_FAILURES

_WINDOW: Final = timedelta(seconds=WINDOW_S)
DEADLINE_S: Final = 5.0
"""Longer than other questions to PostgreSQL wait: when it is slow, the limits must hold all the more."""
INGEST_DEADLINE_S: Final = 1.0
"""Events go on when it is away."""
_PAUSE: Final = timedelta(seconds=1)


class _Whose(NamedTuple):
    """Whose quota it is."""

    limit: str
    subject: str
    quota: int


@dataclass(slots=True)
class _Window:
    """What this process knows of a window: `left` to spend without asking, `rest` for any process to take."""

    left: int
    rest: int
    ends_at: datetime


class _Queue:
    """Requests of one subject that wait for PostgreSQL's answer; the next question asks for all of them."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0


class Limiter:
    """Counts requests; `limits` None: nobody is limited."""

    def __init__(self, database: Database, clock: Clock, limits: Limits | None) -> None:
        self._database = database
        self._clock = clock
        self._limits = limits
        self._known: dict[_Whose, _Window] = {}
        self._queues: WeakValueDictionary[_Whose, _Queue] = WeakValueDictionary()
        self._away_until: datetime | None = None
        self._plans = Remembered(self._look_up_plan, clock)

    async def admit(self, context: Context, who: Principal | None, limit: str = DEFAULT) -> None:
        """Returns when the request is within its limit; its answer will carry the headers.

        Raises: RateLimited; DatabaseUnavailable for the strict class while the database is away (others go through).
        """
        if self._limits is None or limit == EXEMPT:
            return
        try:
            whose = await self._whose(self._limits, context, who, limit)
            if whose is None:
                return
            window = await self._take(whose)
        except DatabaseUnavailable:
            LIMITER_FAILURES.labels(limit).inc()
            if limit == STRICT:
                raise
            return
        now = self._clock.now()
        context.limit_headers = headers_of(limit, whose.quota, window.left + window.rest, window.ends_at, now)
        if window.left < 0:
            LIMITED_REQUESTS.labels(limit).inc()
            wait_s = seconds_until(window.ends_at, now)
            raise RateLimited(f"{whose.quota} requests a minute are used up; try again later.", retry_after_s=wait_s)

    async def _whose(self, limits: Limits, context: Context, who: Principal | None, limit: str) -> _Whose | None:
        """None: there is no limit."""
        if limit == INGEST and who is not None:
            if not limits.limits_plans:
                return None
            plan = await self._plans.get(who.organization_id, self._clock.now())
            subject, quota = who.organization_id, limits.plans.get(plan or "")
        elif who is None:
            subject, quota = network_of(context.address), limits.classes[limit]["guest"]
        else:
            role = role_of(who.rate_class, person=who.kind is Kind.USER)
            subject, quota = who.id, limits.classes[limit][role]
        return None if quota is None else _Whose(limit, subject, quota)

    async def _take(self, whose: _Whose) -> _Window:
        """The window after one request; `left` -1: it was refused."""
        found = self._spend(whose)
        if found is not None:
            return found
        queue = self._queues.get(whose) or self._queues.setdefault(whose, _Queue())
        block = block_of(whose.quota) if whose.limit == INGEST else 1
        queue.waiting += 1
        try:
            async with queue.lock:
                return self._spend(whose) or await self._ask(whose, max(block, queue.waiting))
        finally:
            queue.waiting -= 1

    def _spend(self, whose: _Whose) -> _Window | None:
        """The window when the answer is known here: something is left, or nothing is anywhere."""
        known = self._known.get(whose)
        if known is None or not timedelta(0) < known.ends_at - self._clock.now() <= _WINDOW:
            return None  # also when the clock was set back
        if known.left > 0:
            known.left -= 1
            return _Window(known.left, known.rest, known.ends_at)
        return _Window(-1, 0, known.ends_at) if known.rest == 0 else None

    async def _ask(self, whose: _Whose, amount: int) -> _Window:
        now = self._clock.now()
        if self._away_until is not None and now < self._away_until and whose.limit != STRICT:
            raise DatabaseUnavailable("PostgreSQL was away a moment ago.")
        subject = f"{whose.limit}:{whose.subject}"
        try:
            async with asyncio.timeout(INGEST_DEADLINE_S if whose.limit == INGEST else DEADLINE_S):
                taken = await store.take(self._database, subject, now, _WINDOW, quota=whose.quota, amount=amount)
        except (TimeoutError, DatabaseUnavailable):
            self._away_until = now + _PAUSE
            raise DatabaseUnavailable("PostgreSQL is away, and with it the rate limit; try again.") from None
        rest, ends_at = max(0, whose.quota - taken.used), taken.began_at + _WINDOW
        self._remember(whose, _Window(max(0, taken.granted - 1), rest, ends_at))
        return _Window(taken.granted - 1, rest, ends_at)

    def _remember(self, whose: _Whose, window: _Window) -> None:
        self._known.pop(whose, None)
        while len(self._known) >= MAX_REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[whose] = window

    async def _look_up_plan(self, organization_id: str) -> str | None:
        try:
            async with asyncio.timeout(INGEST_DEADLINE_S), self._database.unscoped() as tx:
                return await store.plan_of(tx, organization_id)
        except TimeoutError:
            raise DatabaseUnavailable("PostgreSQL does not answer in time; try again.") from None
