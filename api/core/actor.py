"""Who changes something, when and from where: what a fact about it tells."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from api.core.facts import tell
from api.core.persons import PersonSealer, person_sealers
from api.core.principal import Kind, Principal
from api.core.request_ids import Context, context_of
from api.deps import Deps
from contracts.errors import PermissionDenied, Problem
from contracts.events.auth import AuthFact
from contracts.rules.access import beyond
from infra.postgres.database import Tx


@dataclass(frozen=True, slots=True)
class Actor:
    """The principal of a request that changes something, and the request's time, address and id."""

    who: Principal
    now: datetime
    context: Context
    sealer: PersonSealer | None = None

    @property
    def id(self) -> str:
        """Stands as `actor` in facts."""
        return self.who.id

    @property
    def organization_id(self) -> str:
        """Whose things are changed."""
        return self.who.organization_id

    async def tell(self, tx: Tx, fact: AuthFact, *, organization_id: str | None = None) -> None:
        """States the fact beside the caller's rows, with this actor and address."""
        stated = fact.model_copy(update={"actor": self.id})
        where = organization_id or self.organization_id
        await tell(tx, self.context, where, stated, now=self.now, sealer=self.sealer)

    def require_held(self, scopes: frozenset[str], at: str, *, team_id: str = "") -> None:
        """Returns when they hold all that is handed on or taken away (in the team). Raises: PermissionDenied."""
        require_held(self.who, scopes, at, team_id=team_id)

    def require_other(self, user_id: str) -> None:
        """Returns when the person is not the one who acts, nor behind the key that does. Raises: PermissionDenied."""
        if user_id in (self.who.id, self.who.made_by, self.who.subject):
            problem = Problem("/path/user_id", "permission_denied", "is yourself")
            raise PermissionDenied(
                "Nobody gives a role to themselves; ask another admin.", problems=(problem,), permission="roles:assign"
            )


def require_held(who: Principal, scopes: frozenset[str], at: str, *, team_id: str = "") -> None:
    """Returns when the principal holds all of these scopes (in the team). Raises: PermissionDenied, with pointer."""
    held = who.scopes | who.teams.get(team_id, frozenset())
    if missing := beyond(held, scopes):
        problems = tuple(Problem(at, "permission_denied", f"you do not hold {one} yourself") for one in missing[:20])
        raise PermissionDenied(
            f"Nobody grants what they do not hold: {', '.join(missing[:5])}.", problems=problems, permission=missing[0]
        )


async def actor_of(request: Request) -> Actor:
    """Who asks, as one who changes something. Raises: DatabaseUnavailable."""
    context = context_of(request)
    deps: Deps = request.app.state.deps
    who: Principal = context.found["principal"]
    sealer = None
    if who.kind is Kind.USER:
        async with deps.database.unscoped() as tx:  # what seals a person's data is no organization's
            sealer = (await person_sealers(tx, deps.sealer, [who.id])).get(who.id)
    return Actor(who, deps.clock.now(), context, sealer)


ActorIn = Annotated[Actor, Depends(actor_of)]
"""For routes that change something."""
