"""How members stand: their roles, and what these come to; looked up at most once a second each."""

from collections.abc import Mapping
from dataclasses import dataclass

from api.core.deadlines import brief_transaction
from api.core.granting import known_roles
from api.core.remembered import Remembered
from contracts.rules.access import Assigned, Held, Role, held
from infra.clock import Clock
from infra.postgres import access, factors, tenancy
from infra.postgres.database import Database

Place = tuple[str | None, str, str]
"""As whom the database is asked, the organization, the person."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A member. `factor_missing`: the organization demands a second factor, and they have none."""

    status: str
    owner: bool
    assigned: tuple[Assigned, ...]
    roles: Mapping[str, Role]
    held: Held
    factor_missing: bool


class Standings:
    """Knows members; a change is effective within a second."""

    def __init__(self, database: Database, clock: Clock, deadline_s: float) -> None:
        self._database = database
        self._clock = clock
        self._deadline_s = deadline_s
        self._known: Remembered[Place, Standing] = Remembered(self._look_up, clock)

    async def of(self, organization_id: str, user_id: str) -> Standing | None:
        """The member, as this request's tenant sees them; None: there is none. Raises: DatabaseUnavailable."""
        return await self._known.get((tenancy.tenant(), organization_id, user_id), self._clock.now())

    async def _look_up(self, place: Place) -> Standing | None:
        _, organization_id, user_id = place
        async with brief_transaction(self._database, self._deadline_s) as tx:
            found = await access.membership(tx, organization_id, user_id)
            if found is None:
                return None
            assigned = tuple(await access.assignments(tx, organization_id, user_id))
            roles = await known_roles(tx, organization_id)
        missing = bool(found.policy.get("mfa_required")) and not await self._has_factor(user_id)
        return Standing(found.status, found.owner, assigned, roles, held(assigned, roles), missing)

    async def _has_factor(self, user_id: str) -> bool:
        async with self._database.unscoped() as tx:  # second factors are no organization's
            return bool(await factors.methods_of(tx, user_id))
