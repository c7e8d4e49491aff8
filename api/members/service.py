"""Members: read, removed, and gone by themselves. What changes rights runs with the organization locked."""

from collections.abc import Sequence
from typing import Final, Literal

from api.core.actor import Actor
from api.core.facts import HUB
from api.core.granting import locked_roles
from api.core.paging import Page, Pagination
from api.core.principal import Principal
from api.deps import Deps
from api.members.schemas import MemberOut, RoleOfMember, StatusOut
from contracts.errors import Conflict, NotFound, PermissionDenied
from contracts.events.auth import UserUpdatedV1
from contracts.events.members import MemberRemovedV1
from contracts.rules.access import effective
from infra.postgres import invitations, members, users
from infra.postgres.database import Tx
from infra.postgres.members import AssignmentRow, MemberRow

READ: Final = "users:read"


async def list_members(deps: Deps, who: Principal, page: Page) -> tuple[list[MemberOut], Pagination]:
    """The members that they may see, the newest first."""
    only = who.teams_with(READ)
    async with deps.database.transaction() as tx:
        rows, total = await members.list_members(tx, who.organization_id, teams=only, window=page.window)
        roles = await members.assignments_of(tx, who.organization_id, [row.user_id for row in rows])
    shown, pagination = page.cut(rows, lambda row: (row.joined_at, row.user_id), total=total)
    return [_out(row, roles) for row in shown], pagination


async def read_member(deps: Deps, who: Principal, user_id: str) -> MemberOut:
    """The member. Raises: NotFound, also for one that they may not see."""
    only = who.teams_with(READ)
    async with deps.database.transaction() as tx:
        if only is not None and not await members.is_in_teams(tx, who.organization_id, user_id, only):
            raise missing()
        return await shown_member(tx, who.organization_id, user_id)


async def remove_member(deps: Deps, actor: Actor, user_id: str) -> None:
    """The person belongs to the organization no more, nor do invitations that they sent.

    Raises: NotFound, Conflict (the last owner), PermissionDenied (an owner, by who is none; who holds more).
    """
    async with deps.database.transaction() as tx:
        roles = await locked_roles(tx, actor.organization_id)
        member = await find(tx, actor.organization_id, user_id)
        if user_id != actor.id:
            if member.owner and not await is_owner(tx, actor):
                raise PermissionDenied("Only an owner removes an owner.", permission="owner")
            held = await members.assignments_of(tx, actor.organization_id, [user_id])
            actor.require_held(effective([one.role_id for one in held], roles), "/path/user_id")
        await _remove(tx, actor, member)


async def leave(deps: Deps, actor: Actor) -> None:
    """The one who asks belongs to the organization no more. Raises: NotFound, Conflict (the last owner)."""
    async with deps.database.transaction() as tx:
        await locked_roles(tx, actor.organization_id)
        await _remove(tx, actor, await find(tx, actor.organization_id, actor.who.user_id))


async def set_status(deps: Deps, actor: Actor, user_id: str, status: Literal["active", "disabled"]) -> StatusOut:
    """The account's new status; every organization of the person is told. Raises: NotFound, Conflict."""
    if user_id == actor.id:
        raise Conflict("Nobody disables or enables themselves.")
    async with deps.database.unscoped() as tx:  # an account is no organization's
        user = await users.find_user(tx, user_id)
        if user is None:
            raise NotFound("There is no such person.")
        if user.status == "erased":
            raise Conflict("The account was erased.")
        if await users.set_status(tx, user_id, status, actor.now):
            fact = UserUpdatedV1(user_id=user_id, changed=("status",))
            for organization_id in [one.organization_id for one in await members.memberships_of(tx, user_id)] or [HUB]:
                await actor.tell(tx, fact, organization_id=organization_id)
    return StatusOut(user_id=user_id, status=status)


async def shown_member(tx: Tx, organization_id: str, user_id: str) -> MemberOut:
    """The member as the API shows them. Raises: NotFound."""
    row = await find(tx, organization_id, user_id)
    return _out(row, await members.assignments_of(tx, organization_id, [user_id]))


async def find(tx: Tx, organization_id: str, user_id: str) -> MemberRow:
    """The member. Raises: NotFound."""
    row = await members.find_member(tx, organization_id, user_id)
    if row is None:
        raise missing()
    return row


async def is_owner(tx: Tx, actor: Actor) -> bool:
    """Whether the one who acts is an owner; platform staff may act as one."""
    if actor.who.may("system:organizations"):
        return True
    me = await members.find_member(tx, actor.organization_id, actor.id)
    return me is not None and me.owner


async def require_another_owner(tx: Tx, organization_id: str) -> None:
    """Returns when an owner may go; ask with the organization locked. Raises: Conflict."""
    if await members.count_owners(tx, organization_id) <= 1:
        raise Conflict("The last owner stays: make another member an owner first.")


def missing() -> NotFound:
    """What is said of somebody who does not belong to the organization."""
    return NotFound("This organization has no such member, or you may not see them.")


async def _remove(tx: Tx, actor: Actor, member: MemberRow) -> None:
    if member.owner:
        await require_another_owner(tx, actor.organization_id)
    await members.remove_member(tx, actor.organization_id, member.user_id)
    await invitations.revoke_of(tx, actor.organization_id, member.user_id, actor.now)
    await actor.tell(tx, MemberRemovedV1(user_id=member.user_id))


def _out(row: MemberRow, roles: Sequence[AssignmentRow]) -> MemberOut:
    mine = [
        RoleOfMember(role_id=one.role_id, team_id=one.team_id or None) for one in roles if one.user_id == row.user_id
    ]
    return MemberOut.model_validate({**row._asdict(), "roles": mine})
