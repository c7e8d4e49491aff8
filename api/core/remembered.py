"""What was looked up a moment ago: fresh for a second, usable for ten minutes while PostgreSQL is away."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from contracts.errors import DatabaseUnavailable
from infra.clock import Clock

FRESH_FOR: Final = timedelta(seconds=0.9)
"""A change is effective after at most this long and the look-up itself, in every process: below a second."""
USABLE_FOR: Final = timedelta(minutes=10)
"""How long what is known goes on while PostgreSQL is away."""
MAX_REMEMBERED: Final = 20_000

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(slots=True)
class _Entry(Generic[V]):
    value: V | None
    checked_at: datetime
    retry_at: datetime
    failing: bool = False

    def usable(self, now: datetime) -> bool:
        """Whether it may stand in while PostgreSQL is away."""
        return self.value is not None and now - self.checked_at <= USABLE_FOR


class Remembered(Generic[K, V]):
    """Asks `look_up` at most once a second per key, however many requests wait for its answer; None: there is none.

    `ahead`: what is older is asked for again behind the requests' backs, so that those of a busy key never wait.
    """

    def __init__(
        self, look_up: Callable[[K], Awaitable[V | None]], clock: Clock, *, ahead: timedelta | None = None
    ) -> None:
        self._look_up = look_up
        self._clock = clock
        self._ahead = ahead
        self._known: dict[K, _Entry[V]] = {}
        self._asking: dict[K, asyncio.Task[_Entry[V]]] = {}

    def knows(self, key: K) -> bool:
        """Whether the key was asked for lately."""
        return key in self._known

    async def get(self, key: K, now: datetime) -> V | None:
        """What is known of the key. Raises: DatabaseUnavailable when it is unknown while the database is away."""
        entry = self._known.get(key)
        if entry is None or now >= entry.retry_at:
            entry = await self._refresh(key, entry, now)
        elif self._ahead is not None and now - entry.checked_at >= self._ahead and not entry.failing:
            self._ask(key)
        return entry.value

    def forget(self, key: K) -> None:
        """The next request asks again; a look-up that is under way, and may have read too early, is not its answer."""
        self._known.pop(key, None)
        self._asking.pop(key, None)

    def forget_where(self, matches: Callable[[K], bool]) -> None:
        """Forgets every key that matches: for what is rare, it walks them all."""
        for key in [key for key in {*self._known, *self._asking} if matches(key)]:
            self.forget(key)

    async def _refresh(self, key: K, entry: _Entry[V] | None, now: datetime) -> _Entry[V]:
        """What PostgreSQL says, or what is remembered while it is away: then it is asked behind the request's back."""
        task = self._ask(key)
        if entry is not None and entry.failing and entry.usable(now):
            entry.retry_at = now + FRESH_FOR
            return entry
        try:
            return await asyncio.shield(task)
        except DatabaseUnavailable:
            if entry is None or not entry.usable(now):
                raise
            entry.failing, entry.retry_at = True, self._clock.now() + FRESH_FOR
            return entry

    def _ask(self, key: K) -> asyncio.Task[_Entry[V]]:
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._looked_up(key))
            task.add_done_callback(lambda done: self._answered(key, done))
        return task

    def _answered(self, key: K, task: asyncio.Task[_Entry[V]]) -> None:
        if self._asking.get(key) is task:
            del self._asking[key]
        if not task.cancelled():
            task.exception()  # whoever waits gets it; nobody may be waiting

    async def _looked_up(self, key: K) -> _Entry[V]:
        asked_at = self._clock.now()
        value = await self._look_up(key)
        entry = _Entry(value, asked_at, asked_at + FRESH_FOR)
        if self._asking.get(key) is asyncio.current_task():
            self._known.pop(key, None)
            while len(self._known) >= MAX_REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[key] = entry
        return entry
