"""Notes when and from where keys are used: a look into memory a request, one batch to PostgreSQL now and then."""

import asyncio
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Final, NamedTuple

import structlog

from api.core.background import Background
from api.core.facts import tell
from api.core.principal import Principal
from api.core.request_ids import Context
from contracts.errors import DatabaseUnavailable
from contracts.events.auth import KeyUsedFirstV1
from infra.postgres import key_use as store
from infra.postgres.database import Database
from infra.postgres.key_use import Use

EVERY: Final = timedelta(minutes=1)
"""How exactly the last use of a key is known."""
GATHER_S: Final = 0.5
MAX_REMEMBERED: Final = 20_000

_log = structlog.get_logger(__name__)


class Noted(NamedTuple):
    """A use, and the request that made it."""

    use: Use
    request_id: str


class KeyUse:
    """What this process saw of keys; what waits to be written is lost with it, the next use is noted again."""

    def __init__(self, database: Database, background: Background) -> None:
        self._database = database
        self._background = background
        self._due: dict[tuple[str, str], datetime] = {}
        self._waiting: dict[tuple[str, str], Noted] = {}
        self._writing = False

    def note(self, who: Principal, context: Context, now: datetime) -> None:
        """Returns at once."""
        address = context.address
        whose = (who.id, address)
        due = self._due.get(whose)
        if due is not None and now < due:
            return
        if len(self._due) >= MAX_REMEMBERED:
            self._due.clear()
        self._due[whose] = now + EVERY
        if address and len(self._waiting) < MAX_REMEMBERED:
            use = Use(who.id, who.organization_id, address, place_of(address), now)
            self._waiting[whose] = Noted(use, context.request_id)
            if not self._writing:
                self._writing = self._background.start(self._write())

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                noted, self._waiting = list(self._waiting.values()), {}
                await self._save(noted)
        except DatabaseUnavailable as error:
            _log.warning("key_use.lost", reason=error.message)
        finally:
            self._writing = False

    async def _gather(self) -> None:
        """Lets more uses come together, unless the process ends."""
        try:
            async with asyncio.timeout(GATHER_S):
                await self._background.closing.wait()
        except TimeoutError:
            return

    async def _save(self, noted: list[Noted]) -> None:
        """In an order that all processes share, as the owner: keys of many organizations in one batch."""
        noted.sort(key=lambda one: (one.use.key_id, one.use.place))
        uses = [one.use for one in noted]
        async with self._database.unscoped() as tx:
            await store.note_used(tx, uses)
            new = await store.note_places(tx, uses)
            for use, request_id in {(one.use.key_id, one.use.place): one for one in noted}.values():
                if (use.key_id, use.place) in new:
                    fact = KeyUsedFirstV1(key_id=use.key_id, actor=use.key_id, address=use.address)
                    await tell(tx, Context(request_id, {}), use.organization_id, fact, now=use.at)


def place_of(address: str) -> str:
    """The address; of IPv6 its /64, which is one household's or machine's."""
    found = ip_address(address)
    return str(found) if found.version == 4 else str(ip_network((found, 64), strict=False))
