"""`/v1/teams`."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.core.actor import ActorIn
from api.core.envelope import Answer, Listing, reply
from api.core.etags import PreconditionIn
from api.core.idempotency import once
from api.core.paging import NumberedPageIn
from api.core.resource import DepsIn, Resource, Who
from api.teams import service
from api.teams.schemas import TeamIn, TeamMemberOut, TeamOut

routes: Final = Resource("/v1/teams", "teams")


@routes.post("", needs="teams:write", answers=Answer[TeamOut], status=201, errors=(409,), idempotent=True)
async def create_team(request: Request, who: Who, deps: DepsIn, actor: ActorIn, wanted: TeamIn) -> Response:
    """Make a team."""

    async def act() -> Response:
        return reply(request, await service.create_team(deps, actor, wanted), status=201)

    return await once(request, who, act)


@routes.get("", needs="teams:read", answers=Listing[TeamOut], in_team=True)
async def list_teams(request: Request, who: Who, deps: DepsIn, page: NumberedPageIn) -> Response:
    """The organization's teams, the newest first; those one manages, for who manages some only."""
    rows, pagination = await service.list_teams(deps, who, page)
    return reply(request, rows, pagination=pagination)


@routes.get("/{team_id}", needs="teams:read", answers=Answer[TeamOut], errors=(404,), etag=True, in_team=True)
async def read_team(request: Request, who: Who, deps: DepsIn, team_id: str) -> Response:
    """One team."""
    return reply(request, await service.read_team(deps, who, team_id), etag=True)


@routes.patch("/{team_id}", needs="teams:write", answers=Answer[TeamOut], errors=(404, 409), etag=True, in_team=True)
async def rename_team(
    request: Request, deps: DepsIn, actor: ActorIn, precondition: PreconditionIn, team_id: str, wanted: TeamIn
) -> Response:
    """Give a team another name."""
    return reply(request, await service.rename_team(deps, actor, team_id, wanted, precondition), etag=True)


@routes.delete("/{team_id}", needs="teams:write", answers=None, status=204, errors=(404,), etag=True)
async def delete_team(
    request: Request, deps: DepsIn, actor: ActorIn, precondition: PreconditionIn, team_id: str
) -> Response:
    """Delete a team and the roles that were given in it."""
    await service.delete_team(deps, actor, team_id, precondition)
    return Response(status_code=204)


@routes.get("/{team_id}/members", needs="teams:read", answers=Listing[TeamMemberOut], errors=(404,), in_team=True)
async def list_team_members(request: Request, who: Who, deps: DepsIn, page: NumberedPageIn, team_id: str) -> Response:
    """Who is in a team, the newest first."""
    rows, pagination = await service.list_team_members(deps, who, team_id, page)
    return reply(request, rows, pagination=pagination)


@routes.put("/{team_id}/members/{user_id}", needs="teams:write", answers=None, status=204, errors=(404,), in_team=True)
async def join_team(request: Request, deps: DepsIn, actor: ActorIn, team_id: str, user_id: str) -> Response:
    """Take a member of the organization into a team."""
    await service.join_team(deps, actor, team_id, user_id)
    return Response(status_code=204)


@routes.delete(
    "/{team_id}/members/{user_id}", needs="teams:write", answers=None, status=204, errors=(404,), in_team=True
)
async def leave_team(request: Request, deps: DepsIn, actor: ActorIn, team_id: str, user_id: str) -> Response:
    """Take a member out of a team."""
    await service.leave_team(deps, actor, team_id, user_id)
    return Response(status_code=204)
