"""`/v1/roles`, and the roles of members."""

from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api.core.actor import ActorIn
from api.core.envelope import Answer, Listing, reply
from api.core.etags import PreconditionIn
from api.core.idempotency import once
from api.core.paging import Pagination
from api.core.resource import DepsIn, Resource, Who
from api.roles import assignments, service
from api.roles.schemas import AssignmentOut, MatrixRow, RoleChange, RoleIn, RoleOut, TemplateOut

routes: Final = Resource("/v1", "roles")

InTeam = Annotated[str, Query(alias="team_id", max_length=255, description="In this team only; '': everywhere")]


def _all(rows: list[MatrixRow] | list[RoleOut] | list[TemplateOut]) -> Pagination:
    return Pagination(limit=len(rows), has_more=False, next_cursor=None)


@routes.get("/roles", needs="roles:read", answers=Listing[RoleOut])
async def list_roles(request: Request, who: Who, deps: DepsIn) -> Response:
    """System roles and the organization's own."""
    found = await service.list_roles(deps, who)
    return reply(request, found, pagination=_all(found))


@routes.get("/roles/templates", needs="roles:read", answers=Listing[TemplateOut])
async def list_templates(request: Request, who: Who, deps: DepsIn) -> Response:
    """Sets of permissions to start a role of one's own from."""
    found = service.templates()
    return reply(request, found, pagination=_all(found))


@routes.get("/roles/matrix", needs="roles:read", answers=Listing[MatrixRow])
async def read_matrix(request: Request, who: Who, deps: DepsIn) -> Response:
    """Every permission and the roles that give it."""
    found = await service.read_matrix(deps, who)
    return reply(request, found, pagination=_all(found))


@routes.get("/roles/{role_id}", needs="roles:read", answers=Answer[RoleOut], errors=(404,), etag=True)
async def read_role(request: Request, who: Who, deps: DepsIn, role_id: str) -> Response:
    """One role."""
    return reply(request, await service.read_role(deps, who, role_id), etag=True)


@routes.post(
    "/roles", needs="roles:write", answers=Answer[RoleOut], status=201, errors=(409,), idempotent=True, step_up=True
)
async def create_role(request: Request, who: Who, deps: DepsIn, actor: ActorIn, wanted: RoleIn) -> Response:
    """Make a role of permissions that one holds."""

    async def act() -> Response:
        return reply(request, await service.create_role(deps, actor, wanted), status=201)

    return await once(request, who, act)


@routes.patch(
    "/roles/{role_id}", needs="roles:write", answers=Answer[RoleOut], errors=(404, 409), etag=True, step_up=True
)
async def change_role(
    request: Request, deps: DepsIn, actor: ActorIn, precondition: PreconditionIn, role_id: str, wanted: RoleChange
) -> Response:
    """Change a role; effective everywhere within a second."""
    return reply(request, await service.change_role(deps, actor, role_id, wanted, precondition), etag=True)


@routes.delete(
    "/roles/{role_id}", needs="roles:write", answers=None, status=204, errors=(404, 409), etag=True, step_up=True
)
async def delete_role(
    request: Request, deps: DepsIn, actor: ActorIn, precondition: PreconditionIn, role_id: str
) -> Response:
    """Delete a role that nobody has."""
    await service.delete_role(deps, actor, role_id, precondition)
    return Response(status_code=204)


@routes.put(
    "/members/{user_id}/roles/{role_id}",
    needs="roles:assign",
    answers=Answer[AssignmentOut],
    errors=(404,),
    step_up=True,
    in_team=True,
)
async def assign_role(
    request: Request, deps: DepsIn, actor: ActorIn, user_id: str, role_id: str, team_id: InTeam = ""
) -> Response:
    """Give a member a role, everywhere or in one team; effective within a second."""
    return reply(request, await assignments.assign_role(deps, actor, user_id, role_id, team_id))


@routes.delete(
    "/members/{user_id}/roles/{role_id}",
    needs="roles:assign",
    answers=None,
    status=204,
    errors=(404,),
    step_up=True,
    in_team=True,
)
async def unassign_role(
    request: Request, deps: DepsIn, actor: ActorIn, user_id: str, role_id: str, team_id: InTeam = ""
) -> Response:
    """Take a role from a member; effective within a second."""
    await assignments.unassign_role(deps, actor, user_id, role_id, team_id)
    return Response(status_code=204)
