"""Invitations: a token by mail, good once, for seven days, for whoever has proved that the address is theirs."""

from datetime import timedelta
from typing import Final

from api.core import letters
from api.core.actor import Actor
from api.core.granting import locked_roles, require_role
from api.core.letters import Letter
from api.core.paging import Page, Pagination
from api.core.principal import Principal
from api.core.visits import Visit
from api.deps import Deps
from api.members.schemas import InvitationIn, InvitationOut, JoinedOut
from contracts.errors import Conflict, NotFound
from contracts.events.members import MemberInvitedV1, MemberJoinedV1, RoleAssignedV1
from contracts.rules.access import effective
from infra.crypto import new_secret
from infra.ids import new_id
from infra.postgres import invitations as store
from infra.postgres import members, users
from infra.postgres.database import Tx
from infra.postgres.invitations import InvitationRow
from infra.postgres.organizations import find_organization

LIFE: Final = timedelta(days=7)
MAX_OPEN: Final = 200
PURPOSE: Final = "invitation"


async def invite(deps: Deps, actor: Actor, visit: Visit, wanted: InvitationIn) -> InvitationOut:
    """The invitation; its token stands in the mail only.

    Raises: Invalid (an unknown role), PermissionDenied (a role that the inviter does not hold), Conflict (a member
    already, too many open ones).
    """
    token, where = new_secret(), actor.organization_id
    row = InvitationRow(new_id("inv"), where, wanted.email, wanted.role_id, actor.id, actor.now, actor.now + LIFE)
    async with deps.database.transaction() as tx:
        roles = await locked_roles(tx, where)
        require_role(roles, wanted.role_id, "/role_id")
        actor.require_held(effective((wanted.role_id,), roles), "/role_id")
        if await members.has_address(tx, where, wanted.email):
            raise Conflict("They are a member already.")
        await store.revoke_earlier(tx, where, wanted.email, actor.now)
        if await store.count_open(tx, where, actor.now) >= MAX_OPEN:
            raise Conflict(f"{MAX_OPEN} invitations are open already; revoke some first.")
        await store.save_invitation(tx, row, visit.hash(PURPOSE, token))
        await actor.tell(tx, MemberInvitedV1(invitation_id=row.id, role_id=row.role_id))
    await _send(deps, visit, row, token)
    return _out(row)


async def list_invitations(deps: Deps, who: Principal, page: Page) -> tuple[list[InvitationOut], Pagination]:
    """The organization's invitations, the newest first."""
    async with deps.database.transaction() as tx:
        rows, total = await store.list_invitations(tx, who.organization_id, page.window)
    shown, pagination = page.cut(rows, lambda row: (row.created_at, row.id), total=total)
    return [_out(row) for row in shown], pagination


async def revoke(deps: Deps, actor: Actor, invitation_id: str) -> None:
    """Nobody can use it any more. Raises: NotFound, Conflict (it was accepted)."""
    async with deps.database.transaction() as tx:
        row = await store.revoke_invitation(tx, actor.organization_id, invitation_id, actor.now)
    if row is None:
        raise NotFound("This organization has no such invitation.")
    if row.accepted_at is not None:
        raise Conflict("The invitation was accepted already; remove the member instead.")


async def accept(deps: Deps, actor: Actor, visit: Visit, token: str) -> JoinedOut:
    """The organization that the person belongs to now.

    Raises: NotFound (no such token, or it was sent to another address), Conflict (used, revoked, over, a member
    already, the role is gone).
    """
    user_id = actor.who.user_id
    async with deps.database.unscoped() as tx:  # of another organization than the one that they act for
        row = await _meant(tx, user_id, visit.hash(PURPOSE, token))
        roles = await locked_roles(tx, row.organization_id)
        if not await store.accept_invitation(tx, row.id, actor.now):
            raise Conflict("The invitation was used or revoked, or its seven days are over; ask for a new one.")
        if row.role_id not in roles:
            raise Conflict("The role of the invitation is gone; ask for a new one.")
        if not await members.save_member(tx, row.organization_id, user_id, owner=False, now=actor.now):
            raise Conflict("You are a member already.")
        await members.assign(tx, row.organization_id, user_id, row.role_id, by=row.invited_by, now=actor.now)
        joined = MemberJoinedV1(user_id=user_id, invitation_id=row.id)
        await actor.tell(tx, joined, organization_id=row.organization_id)
        assigned = RoleAssignedV1(user_id=user_id, role_id=row.role_id)
        await actor.tell(tx, assigned, organization_id=row.organization_id)
    return JoinedOut(organization_id=row.organization_id, role_id=row.role_id)


async def _meant(tx: Tx, user_id: str, digest: bytes) -> InvitationRow:
    """The invitation with this token, when it was sent to the person's verified address. Raises: NotFound."""
    row, user = await store.find_by_hash(tx, digest), await users.find_user(tx, user_id)
    if row is None or user is None or user.email != row.email or user.email_verified_at is None:
        raise NotFound("There is no such invitation for your address; log in with the one that it was sent to.")
    return row


async def _send(deps: Deps, visit: Visit, row: InvitationRow, token: str) -> None:
    """A transaction of its own: mail is no organization's. Should it fail, inviting again makes this one void."""
    async with deps.database.unscoped() as tx:
        organization = await find_organization(tx, row.organization_id)
        invited = await users.find_by_email(tx, row.email)
        name = " ".join(organization.name.split()) if organization else ""
        locale = invited.locale if invited else "en"
        await letters.write(tx, visit, Letter.INVITATION, to=row.email, locale=locale, organization=name, token=token)


def _out(row: InvitationRow) -> InvitationOut:
    return InvitationOut.model_validate(row._asdict())
