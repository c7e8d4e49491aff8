"""`/v1/members`: who belongs to the organization and who owns it; `/v1/users`: accounts, for platform staff."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.core.actor import ActorIn
from api.core.envelope import Answer, Listing, reply
from api.core.paging import PageIn
from api.core.resource import DepsIn, Resource, Who
from api.members import owners, service
from api.members.schemas import MemberOut, StatusOut, TransferIn
from contracts.rules.access import SELF

routes: Final = Resource("/v1", "members")


@routes.get("/members", needs="users:read", answers=Listing[MemberOut], in_team=True)
async def list_members(request: Request, who: Who, deps: DepsIn, page: PageIn) -> Response:
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
