"""Who asks: API keys, looked up in PostgreSQL and remembered for a moment."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from api.core.deadlines import brief_transaction
from api.core.permissions import allows
from contracts.errors import DatabaseUnavailable, PermissionDenied, Unauthenticated
from infra.clock import Clock
from infra.crypto import hash_api_key, looks_like_api_key
from infra.postgres.database import Database
from infra.postgres.keys import find_key, organization_exists

FRESH_FOR: Final = timedelta(seconds=1)
"""A revoked key is refused after at most this long, in every process."""
USABLE_FOR: Final = timedelta(minutes=10)
"""How long a known key goes on while PostgreSQL is away."""
MAX_REMEMBERED: Final = 20_000

Headers = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Principal:
    """The key that asks and the organization it acts for."""

    key_id: str
    organization_id: str
    scopes: frozenset[str]
    expires_at: datetime | None = None

    def may(self, permission: str) -> bool:
        """Whether its scopes contain the permission."""
        return allows(self.scopes, permission)

    def require(self, permission: str) -> None:
        """Returns when it may. Raises: PermissionDenied, naming the permission."""
        if not self.may(permission):
            raise PermissionDenied(f"This key lacks the permission {permission}; use one that has it.")


@dataclass(slots=True)
class _Remembered:
    principal: Principal | None
    checked_at: datetime
    retry_at: datetime
    failing: bool = False

    def usable(self, now: datetime) -> bool:
        """Whether it may stand in while PostgreSQL is away."""
        return self.principal is not None and now - self.checked_at <= USABLE_FOR


class Keyring:
    """Authenticates requests; asks PostgreSQL at most once a second per key."""

    def __init__(self, database: Database, clock: Clock, pepper: bytes, deadline_s: float) -> None:
        self._database = database
        self._clock = clock
        self._pepper = pepper
        self._deadline_s = deadline_s
        self._known: dict[bytes, _Remembered] = {}
        self._asking: dict[bytes, asyncio.Task[_Remembered]] = {}
        self._organizations: set[str] = set()

    async def authenticate(self, headers: Headers) -> Principal:
        """The principal of the request's key.

        Raises: Unauthenticated (no key, unknown, revoked, expired), DatabaseUnavailable (unknown while the database
        is away).
        """
        digest = hash_api_key(_presented(headers), self._pepper)
        now = self._clock.now()
        entry = self._known.get(digest)
        if entry is None or now >= entry.retry_at:
            entry = await self._refresh(digest, entry, now)
        principal = entry.principal
        if principal is None or (principal.expires_at is not None and principal.expires_at <= now):
            raise Unauthenticated("The API key is unknown, revoked or expired; create a new one.")
        return principal

    async def organization_exists(self, organization_id: str) -> bool:
        """Whether there is such an organization; one that was seen is not asked for again."""
        if organization_id not in self._organizations:
            async with brief_transaction(self._database, self._deadline_s) as tx:
                if not await organization_exists(tx, organization_id):
                    return False
            self._organizations.add(organization_id)
        return True

    async def _refresh(self, digest: bytes, entry: _Remembered | None, now: datetime) -> _Remembered:
        """What PostgreSQL says, or what is remembered while it is away: then it is asked behind the request's back."""
        task = self._ask(digest)
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

    def _ask(self, digest: bytes) -> asyncio.Task[_Remembered]:
        """One question to PostgreSQL, however many requests wait for its answer."""
        task = self._asking.get(digest)
        if task is None:
            task = self._asking[digest] = asyncio.create_task(self._look_up(digest))
            task.add_done_callback(lambda done: self._answered(digest, done))
        return task

    def _answered(self, digest: bytes, task: asyncio.Task[_Remembered]) -> None:
        del self._asking[digest]
        if not task.cancelled():
            task.exception()  # whoever waits gets it; nobody may be waiting

    async def _look_up(self, digest: bytes) -> _Remembered:
        async with brief_transaction(self._database, self._deadline_s) as tx:
            row = await find_key(tx, digest)
        principal = None
        if row is not None and row.revoked_at is None:
            principal = Principal(row.id, row.organization_id, frozenset(row.scopes), row.expires_at)
        self._known.pop(digest, None)
        while len(self._known) >= MAX_REMEMBERED:
            del self._known[next(iter(self._known))]
        now = self._clock.now()
        entry = self._known[digest] = _Remembered(principal, now, now + FRESH_FOR)
        return entry


def _presented(headers: Headers) -> str:
    """The key in `Authorization: Bearer` or `X-API-Key`. Raises: Unauthenticated."""
    raw = headers.get(b"authorization")
    if raw is not None:
        scheme, _, value = raw.partition(b" ")
        if scheme.lower() != b"bearer":
            raise Unauthenticated("Send the API key as `Authorization: Bearer aihub_live_...`.")
        raw = value.strip()
    else:
        raw = headers.get(b"x-api-key")
    if not raw:
        raise Unauthenticated("This route needs an API key: send `Authorization: Bearer aihub_live_...`.")
    key = raw.decode("latin-1")
    if not looks_like_api_key(key):
        raise Unauthenticated("This is not an API key, or it was cut or mistyped: its checksum does not fit.")
    return key
