"""Teams: who holds a permission in one team only sees and changes that team only."""

from typing import Final

from api.core.actor import Actor
from api.core.etags import Precondition
from api.core.paging import Page, Pagination
from api.core.principal import Principal
from api.deps import Deps
from api.teams.schemas import TeamIn, TeamMemberOut, TeamOut
from contracts.errors import Conflict, NotFound
from contracts.events.members import TeamChangedV1, TeamCreatedV1, TeamDeletedV1
from infra.ids import new_id
from infra.postgres import members
from infra.postgres import teams as store
from infra.postgres.database import Tx
from infra.postgres.organizations import lock_organization
from infra.postgres.teams import TeamRow

READ: Final = "teams:read"
WRITE: Final = "teams:write"


async def create_team(deps: Deps, actor: Actor, wanted: TeamIn) -> TeamOut:
    """The new team. Raises: Conflict when the name is taken."""
    row = TeamRow(new_id("team"), actor.organization_id, wanted.name, actor.now, actor.now)
    async with deps.database.transaction() as tx:
        if not await store.save_team(tx, row):
            raise _taken(wanted.name)
        await actor.tell(tx, TeamCreatedV1(team_id=row.id, name=row.name))
    return _out(row)


async def list_teams(deps: Deps, who: Principal, page: Page) -> tuple[list[TeamOut], Pagination]:
    """The teams that they may see, the newest first."""
    only = who.teams_with(READ)
    async with deps.database.transaction() as tx:
        rows, total = await store.list_teams(tx, who.organization_id, only=only, window=page.window)
    shown, pagination = page.cut(rows, lambda row: (row.created_at, row.id), total=total)
    return [_out(row) for row in shown], pagination


async def read_team(deps: Deps, who: Principal, team_id: str) -> TeamOut:
    """The team. Raises: NotFound, also for a team that they may not see."""
    async with deps.database.transaction() as tx:
        return _out(await _team(tx, who, READ, team_id))


async def rename_team(deps: Deps, actor: Actor, team_id: str, wanted: TeamIn, precondition: Precondition) -> TeamOut:
    """The team under its new name. Raises: NotFound, Conflict, PreconditionFailed."""
    async with deps.database.transaction() as tx:
        await lock_organization(tx, actor.organization_id)
        row = await _team(tx, actor.who, WRITE, team_id, lock=True)
        precondition.check(_out(row))
        if await store.name_is_taken(tx, actor.organization_id, wanted.name, besides=team_id):
            raise _taken(wanted.name)
        row = await store.rename_team(tx, actor.organization_id, team_id, wanted.name, actor.now)
        await actor.tell(tx, TeamChangedV1(team_id=team_id, name=row.name))
    return _out(row)


async def delete_team(deps: Deps, actor: Actor, team_id: str, precondition: Precondition) -> None:
    """The team is gone, and the roles in it. Raises: NotFound, PreconditionFailed."""
    async with deps.database.transaction() as tx:
        await lock_organization(tx, actor.organization_id)
        row = await _team(tx, actor.who, WRITE, team_id, lock=True)
        precondition.check(_out(row))
        await members.unassign_team(tx, actor.organization_id, team_id)
        await store.delete_team(tx, actor.organization_id, team_id)
        await actor.tell(tx, TeamDeletedV1(team_id=team_id, name=row.name))


async def list_team_members(
    deps: Deps, who: Principal, team_id: str, page: Page
) -> tuple[list[TeamMemberOut], Pagination]:
    """Who is in the team, the newest first. Raises: NotFound."""
    async with deps.database.transaction() as tx:
        await _team(tx, who, READ, team_id)
        rows, total = await store.list_team_members(tx, who.organization_id, team_id, page.window)
    shown, pagination = page.cut(rows, lambda row: (row.joined_at, row.user_id), total=total)
    return [TeamMemberOut.model_validate(row._asdict()) for row in shown], pagination


async def join_team(deps: Deps, actor: Actor, team_id: str, user_id: str) -> None:
    """The member is in the team; once more changes nothing. Raises: NotFound (team, member)."""
    async with deps.database.transaction() as tx:
        await lock_organization(tx, actor.organization_id)
        row = await _team(tx, actor.who, WRITE, team_id, lock=True)
        if await members.find_member(tx, actor.organization_id, user_id) is None:
            raise NotFound("This organization has no such member.")
        if await store.join_team(tx, actor.organization_id, team_id, user_id, actor.now):
            await actor.tell(tx, TeamChangedV1(team_id=team_id, name=row.name, joined=(user_id,)))


async def leave_team(deps: Deps, actor: Actor, team_id: str, user_id: str) -> None:
    """The member is not in the team any more; roles in it stay until they are taken away. Raises: NotFound."""
    async with deps.database.transaction() as tx:
        row = await _team(tx, actor.who, WRITE, team_id, lock=True)
        if not await store.leave_team(tx, actor.organization_id, team_id, user_id):
            raise NotFound("The team has no such member.")
        await actor.tell(tx, TeamChangedV1(team_id=team_id, name=row.name, left=(user_id,)))


async def _team(tx: Tx, who: Principal, permission: str, team_id: str, *, lock: bool = False) -> TeamRow:
    only = who.teams_with(permission)
    row = None
    if only is None or team_id in only:
        row = await store.find_team(tx, who.organization_id, team_id, lock=lock)
    if row is None:
        raise NotFound("This organization has no such team, or you may not see it.")
    return row


def _taken(name: str) -> Conflict:
    return Conflict(f"This organization has a team named {name} already.")


def _out(row: TeamRow) -> TeamOut:
    return TeamOut.model_validate(row._asdict())
