"""`/v1/organizations`, and `/v1/users/me/organizations`: those that one belongs to."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.core.actor import ActorIn
from api.core.envelope import Answer, Listing, reply
from api.core.etags import PreconditionIn
from api.core.idempotency import once
from api.core.paging import NumberedPageIn, Pagination
from api.core.resource import DepsIn, Resource, Who
from api.organizations import service
from api.organizations.schemas import MembershipOut, NewOrganization, OrganizationChange, OrganizationOut
from contracts.rules.access import SELF

routes: Final = Resource("/v1", "organizations")


@routes.post(
    "/organizations", needs="system:organizations", answers=Answer[OrganizationOut], status=201, idempotent=True
)
async def create_organization(
    request: Request, who: Who, deps: DepsIn, actor: ActorIn, wanted: NewOrganization
) -> Response:
    """Make an organization that nobody belongs to yet."""

    async def act() -> Response:
        return reply(request, await service.create_organization(deps, actor, wanted), status=201)

    return await once(request, who, act)


@routes.post(
    "/users/me/organizations", needs=SELF, answers=Answer[OrganizationOut], status=201, errors=(409,), idempotent=True
)
async def create_own(request: Request, who: Who, deps: DepsIn, actor: ActorIn, wanted: NewOrganization) -> Response:
    """Make a further organization and be its owner."""

    async def act() -> Response:
        return reply(request, await service.create_own(deps, actor, wanted), status=201)

    return await once(request, who, act)


@routes.get("/users/me/organizations", needs=SELF, answers=Listing[MembershipOut])
async def list_own(request: Request, who: Who, deps: DepsIn) -> Response:
    """Every organization that one belongs to."""
    found = await service.list_own(deps, who)
    return reply(request, found, pagination=Pagination(limit=len(found), has_more=False, next_cursor=None))


@routes.get("/organizations", needs="organizations:read", answers=Listing[OrganizationOut])
async def list_organizations(request: Request, who: Who, deps: DepsIn, page: NumberedPageIn) -> Response:
    """The own organization; all of them with system:organizations."""
    rows, pagination = await service.list_organizations(deps, who, page)
    return reply(request, rows, pagination=pagination)


@routes.get(
    "/organizations/{organization_id}",
    needs="organizations:read",
    answers=Answer[OrganizationOut],
    errors=(404,),
    etag=True,
)
async def read_organization(request: Request, who: Who, deps: DepsIn, organization_id: str) -> Response:
    """One organization."""
    return reply(request, await service.read_organization(deps, who, organization_id), etag=True)


@routes.patch(
    "/organizations/{organization_id}",
    needs="organizations:write",
    answers=Answer[OrganizationOut],
    errors=(404,),
    etag=True,
)
async def change_organization(
    request: Request,
    deps: DepsIn,
    actor: ActorIn,
    precondition: PreconditionIn,
    organization_id: str,
    wanted: OrganizationChange,
) -> Response:
    """Change an organization's name or policy; what was not sent stays."""
    changed = await service.change_organization(deps, actor, organization_id, wanted, precondition)
    return reply(request, changed, etag=True)
