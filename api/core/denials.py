"""Says that somebody was refused: at most once a second per principal and permission, and never in the answer's way."""

from datetime import datetime, timedelta
from typing import Final

import structlog

from api.core.background import Background
from api.core.persons import person_sealers
from api.core.principal import Kind, Principal
from api.core.request_ids import Context
from api.deps import Deps
from contracts import catalog
from contracts.errors import Unavailable
from contracts.events.auth import PermissionDeniedV1
from contracts.events.base import SYSTEM_SOURCE
from infra.ids import new_id

QUIET_FOR: Final = timedelta(seconds=1)
MAX_REMEMBERED: Final = 10_000

_log = structlog.get_logger(__name__)


class Denials:
    """Publishes PermissionDenied: no row is written for it, so no outbox; a broker that is away loses it, logged."""

    def __init__(self, deps: Deps, background: Background) -> None:
        self._deps = deps
        self._background = background
        self._last: dict[tuple[str, str], datetime] = {}

    def note(self, context: Context, who: Principal, permission: str) -> None:
        """Returns at once."""
        now, whose = self._deps.clock.now(), (who.id, permission)
        last = self._last.get(whose)
        if last is not None and now - last < QUIET_FOR:
            return
        if len(self._last) >= MAX_REMEMBERED:
            self._last.clear()
        self._last[whose] = now
        self._background.start(self._tell(context, who, permission, now))

    async def _tell(self, context: Context, who: Principal, permission: str, now: datetime) -> None:
        try:
            fact = PermissionDeniedV1(
                permission=permission,
                route=context.route[:255],
                actor=who.id,
                address=await self._address(context, who),
            )
            envelope = catalog.state(
                fact,
                event_id=new_id("evt"),
                source=f"{SYSTEM_SOURCE}/auth",
                organization=who.organization_id,
                now=now,
            )
            await self._deps.publisher.publish([envelope.model_copy(update={"requestid": context.request_id})])
        except Unavailable as error:
            _log.warning("denials.lost", reason=error.message, actor=who.id, permission=permission)

    async def _address(self, context: Context, who: Principal) -> str | None:
        """A key's address in clear, a person's sealed under their key."""
        if who.kind is not Kind.USER or not context.address:
            return context.address or None
        async with self._deps.database.unscoped() as tx:
            sealer = (await person_sealers(tx, self._deps.sealer, [who.id])).get(who.id)
        return sealer.seal(context.address) if sealer else None
