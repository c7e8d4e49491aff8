"""`/v1/members`, `/v1/invitations`: who belongs to the organization and owns it; `/v1/users`: accounts."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.core.actor import ActorIn
from api.core.envelope import Answer, Listing, reply
from api.core.idempotency import once
from api.core.paging import NumberedPageIn
from api.core.resource import DepsIn, Resource, Who
from api.core.visits import VisitIn
from api.members import invitations, owners, service
from api.members.schemas import AcceptIn, InvitationIn, InvitationOut, JoinedOut, MemberOut, StatusOut, TransferIn
from contracts.rules.access import SELF

routes: Final = Resource("/v1", "members")


@routes.get("/members", needs="users:read", answers=Listing[MemberOut], in_team=True)
async def list_members(request: Request, who: Who, deps: DepsIn, page: NumberedPageIn) -> Response:
    """The organization's members, the newest first; those of one's teams, for who manages teams only."""
    rows, pagination = await service.list_members(deps, who, page)
    return reply(request, rows, pagination=pagination)


@routes.get("/members/{user_id}", needs="users:read", answers=Answer[MemberOut], errors=(404,), in_team=True)
async def read_member(request: Request, who: Who, deps: DepsIn, user_id: str) -> Response:
    """One member and their roles."""
    return reply(request, await service.read_member(deps, who, user_id))


@routes.delete("/members/{user_id}", needs="users:delete", answers=None, status=204, errors=(404, 409), step_up=True)
async def remove_member(request: Request, deps: DepsIn, actor: ActorIn, user_id: str) -> Response:
    """Remove a member; their tokens for this organization are refused within a second."""
    await service.remove_member(deps, actor, user_id)
    return Response(status_code=204)


@routes.delete("/users/me/membership", needs=SELF, answers=None, status=204, errors=(409,), step_up=True)
async def leave(request: Request, deps: DepsIn, actor: ActorIn) -> Response:
    """Leave the organization that one acts for; the last owner stays."""
    await service.leave(deps, actor)
    return Response(status_code=204)


@routes.put("/members/{user_id}/owner", needs=SELF, answers=Answer[MemberOut], errors=(403, 404), step_up=True)
async def make_owner(request: Request, deps: DepsIn, actor: ActorIn, user_id: str) -> Response:
    """Make a member an owner; only owners may."""
    return reply(request, await owners.make_owner(deps, actor, user_id))


@routes.delete("/members/{user_id}/owner", needs=SELF, answers=Answer[MemberOut], errors=(403, 404, 409), step_up=True)
async def unmake_owner(request: Request, deps: DepsIn, actor: ActorIn, user_id: str) -> Response:
    """Make an owner a plain member; only owners may, and the last one stays."""
    return reply(request, await owners.unmake_owner(deps, actor, user_id))


@routes.post("/users/me/membership/transfer", needs=SELF, answers=Answer[MemberOut], errors=(403, 422), step_up=True)
async def transfer(request: Request, deps: DepsIn, actor: ActorIn, wanted: TransferIn) -> Response:
    """Hand the organization on: another member is owner instead of oneself."""
    return reply(request, await owners.transfer(deps, actor, wanted.user_id))


@routes.put(
    "/users/{user_id}/disabled", needs="system:users", answers=Answer[StatusOut], errors=(404, 409), step_up=True
)
async def disable_user(request: Request, deps: DepsIn, actor: ActorIn, user_id: str) -> Response:
    """Disable a person's account in every organization; tokens are refused within a second."""
    return reply(request, await service.set_status(deps, actor, user_id, "disabled"))


@routes.delete(
    "/users/{user_id}/disabled", needs="system:users", answers=Answer[StatusOut], errors=(404, 409), step_up=True
)
async def enable_user(request: Request, deps: DepsIn, actor: ActorIn, user_id: str) -> Response:
    """Enable a person's account again."""
    return reply(request, await service.set_status(deps, actor, user_id, "active"))


@routes.post(
    "/invitations",
    needs="users:write",
    answers=Answer[InvitationOut],
    status=201,
    errors=(409,),
    idempotent=True,
    step_up=True,
)
async def invite(
    request: Request, who: Who, deps: DepsIn, actor: ActorIn, visit: VisitIn, wanted: InvitationIn
) -> Response:
    """Invite somebody by e-mail, with a role that one holds; an earlier invitation of theirs is void."""

    async def act() -> Response:
        return reply(request, await invitations.invite(deps, actor, visit, wanted), status=201)

    return await once(request, who, act)


@routes.get("/invitations", needs="users:read", answers=Listing[InvitationOut])
async def list_invitations(request: Request, who: Who, deps: DepsIn, page: NumberedPageIn) -> Response:
    """The organization's invitations, the newest first."""
    rows, pagination = await invitations.list_invitations(deps, who, page)
    return reply(request, rows, pagination=pagination)


@routes.delete("/invitations/{invitation_id}", needs="users:write", answers=None, status=204, errors=(404, 409))
async def revoke_invitation(request: Request, deps: DepsIn, actor: ActorIn, invitation_id: str) -> Response:
    """Revoke an invitation; revoking again changes nothing."""
    await invitations.revoke(deps, actor, invitation_id)
    return Response(status_code=204)


@routes.post("/invitations/accept", needs=SELF, answers=Answer[JoinedOut], errors=(404, 409))
async def accept_invitation(
    request: Request, deps: DepsIn, actor: ActorIn, visit: VisitIn, wanted: AcceptIn
) -> Response:
    """Become a member, with the token of the mail and the address that it was sent to."""
    return reply(request, await invitations.accept(deps, actor, visit, wanted.token))
