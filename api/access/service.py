"""Answers "may they?": about oneself from memory, about others from what was looked up within the last second."""

from collections.abc import Sequence

from api.access.schemas import CheckIn, CheckOut, HeldOut, PermissionsOut, SourceOut
from api.core.principal import Kind, Principal
from api.core.standings import Standing, Standings
from api.deps import Deps
from contracts.errors import Invalid, NotFound, Problem
from contracts.rules import decisions
from contracts.rules.access import PERMISSIONS, sources
from contracts.rules.decisions import Decision
from infra.postgres import access

ME = "me"
READ = "users:read"


async def check(
    deps: Deps, standings: Standings, who: Principal, wanted: Sequence[CheckIn], at: str = ""
) -> list[CheckOut]:
    """The answers, in order. Raises: PermissionDenied (about others, without users:read), Invalid (a resource's id)."""
    answers = []
    for index, one in enumerate(wanted):
        place = f"{at}/{index}" if at else ""
        decision = await _decide(deps, standings, who, one, place)
        answers.append(CheckOut(allowed=decision.allowed, reason=decision.reason))
    return answers


async def read_permissions(standings: Standings, who: Principal, user_id: str) -> PermissionsOut:
    """What the member holds. Raises: PermissionDenied (others, without users:read), NotFound."""
    user_id = who.user_id if user_id == ME else user_id
    if user_id != _self(who):
        who.require(READ)
    standing = await standings.of(who.organization_id, user_id)
    if standing is None:
        raise NotFound("This organization has no such member.")
    shown = [HeldOut(permission=one, sources=ways) for one in PERMISSIONS if (ways := _ways(one, standing))]
    return PermissionsOut.model_validate(
        {"user_id": user_id, "status": standing.status, "owner": standing.owner, "permissions": shown}
    )


async def _decide(deps: Deps, standings: Standings, who: Principal, wanted: CheckIn, at: str) -> Decision:
    team = wanted.team
    if wanted.resource is not None:
        if not await _has(deps, who, wanted.resource, f"{at}/resource"):
            return Decision(False, "this organization has no such resource")
        if team is None and wanted.resource.startswith("team_"):
            team = wanted.resource
    user_id = wanted.user_id or _self(who)
    if user_id is None:
        return decisions.of_key(wanted.permission, who.scopes)
    if user_id != _self(who):
        who.require(READ)
    standing = await standings.of(who.organization_id, user_id)
    if standing is None:
        return Decision(False, "not a member of this organization")
    return decisions.of_member(
        wanted.permission,
        team,
        standing.assigned,
        standing.roles,
        status=standing.status,
        factor_missing=standing.factor_missing,
    )


def _self(who: Principal) -> str | None:
    """The person who asks, or for whom a service asks; None for a key."""
    return who.id if who.kind is Kind.USER else who.subject


async def _has(deps: Deps, who: Principal, resource: str, at: str) -> bool:
    if resource.partition("_")[0] not in access.RESOURCE_KINDS:
        kinds = ", ".join(f"{kind}_..." for kind in access.RESOURCE_KINDS)
        raise Invalid(f"A resource is one of {kinds}", problems=(Problem(at, "resource", f"is none of {kinds}"),))
    async with deps.database.transaction() as tx:
        return await access.resource_exists(tx, who.organization_id, resource)


def _ways(permission: str, standing: Standing) -> list[SourceOut]:
    found = sources(permission, standing.assigned, standing.roles)
    return [SourceOut.model_validate({**one._asdict(), "team_id": one.team_id or None}) for one in found]
