"""Gives roles to members and takes them away."""

from api.core.actor import Actor
from api.core.granting import Roles, locked_roles
from api.deps import Deps
from api.roles.schemas import AssignmentOut
from contracts.errors import NotFound
from contracts.events.members import RoleAssignedV1, RoleUnassignedV1
from contracts.rules.access import effective
from infra.postgres import members, teams
from infra.postgres.database import Tx

ASSIGN = "roles:assign"


async def assign_role(deps: Deps, actor: Actor, user_id: str, role_id: str, team_id: str) -> AssignmentOut:
    """The member's role; giving it again changes nothing.

    Raises: NotFound (member, role, team), PermissionDenied (to oneself; more than one holds).
    """
    actor.who.require(ASSIGN, team_id or None)
    async with deps.database.transaction() as tx:
        roles = await locked_roles(tx, actor.organization_id)
        await _require_there(tx, actor, roles, user_id, role_id, team_id)
        actor.require_other(user_id)
        actor.require_held(effective((role_id,), roles), "/path/role_id", team_id=team_id)
        new = await members.assign(
            tx, actor.organization_id, user_id, role_id, team_id=team_id, by=actor.id, now=actor.now
        )
        if new:
            await actor.tell(tx, RoleAssignedV1(user_id=user_id, role_id=role_id, team_id=team_id or None))
        found = await members.assignments_of(tx, actor.organization_id, (user_id,))
    row = next(one for one in found if (one.role_id, one.team_id) == (role_id, team_id))
    return AssignmentOut.model_validate({**row._asdict(), "team_id": row.team_id or None})


async def unassign_role(deps: Deps, actor: Actor, user_id: str, role_id: str, team_id: str) -> None:
    """The member has the role there no more; nobody disarms who holds more than they do, but oneself.

    Raises: NotFound, PermissionDenied.
    """
    actor.who.require(ASSIGN, team_id or None)
    async with deps.database.transaction() as tx:
        roles = await locked_roles(tx, actor.organization_id)
        if user_id != actor.id:
            actor.require_held(effective((role_id,), roles), "/path/role_id", team_id=team_id)
        if not await members.unassign(tx, actor.organization_id, user_id, role_id, team_id=team_id):
            raise NotFound("The member does not have this role there.")
        await actor.tell(tx, RoleUnassignedV1(user_id=user_id, role_id=role_id, team_id=team_id or None))


async def _require_there(tx: Tx, actor: Actor, roles: Roles, user_id: str, role_id: str, team_id: str) -> None:
    if role_id not in roles:
        raise NotFound("This organization has no such role.")
    if await members.find_member(tx, actor.organization_id, user_id) is None:
        raise NotFound("This organization has no such member.")
    if team_id and await teams.find_team(tx, actor.organization_id, team_id, lock=True) is None:
        raise NotFound("This organization has no such team.")
