"""`/v1/organizations` and `/v1/keys`."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.core.envelope import Answer, Listing, reply
from api.core.idempotency import once
from api.core.paging import PageIn
from api.core.resource import DepsIn, Resource, Who
from api.organizations import service
from api.organizations.schemas import KeyIn, KeyOut, OrganizationIn, OrganizationOut, RevokeIn

routes: Final = Resource("/v1", "identity")


@routes.post(
    "/organizations", needs="system:organizations", answers=Answer[OrganizationOut], status=201, idempotent=True
)
async def create_organization(request: Request, who: Who, deps: DepsIn, wanted: OrganizationIn) -> Response:
    """Make an organization."""

    async def act() -> Response:
        return reply(request, await service.create_organization(deps, wanted), status=201)

    return await once(request, who, act)


@routes.get("/organizations", needs="organizations:read", answers=Listing[OrganizationOut])
async def list_organizations(request: Request, who: Who, deps: DepsIn, page: PageIn) -> Response:
    """The own organization; all of them with system:organizations."""
    rows, pagination = await service.list_organizations(deps, who, page)
    return reply(request, rows, pagination=pagination)


@routes.post("/keys", needs="keys:write", answers=Answer[KeyOut], status=201, idempotent=True)
async def create_key(request: Request, who: Who, deps: DepsIn, wanted: KeyIn) -> Response:
    """Make an API key; it is shown in this answer and never again."""

    async def act() -> Response:
        return reply(request, await service.create_key(deps, request.app.state.keyring, who, wanted), status=201)

    return await once(request, who, act)


@routes.get("/keys", needs="keys:read", answers=Listing[KeyOut])
async def list_keys(request: Request, who: Who, deps: DepsIn, page: PageIn) -> Response:
    """The organization's keys, the newest first."""
    rows, pagination = await service.list_keys(deps, who, page)
    return reply(request, rows, pagination=pagination)


@routes.post("/keys/{key_id}/revoke", needs="keys:write", answers=Answer[KeyOut], errors=(404,))
async def revoke_key(request: Request, who: Who, deps: DepsIn, key_id: str, wanted: RevokeIn) -> Response:
    """Revoke a key: refused everywhere within a second. Revoking again changes nothing."""
    return reply(request, await service.revoke_key(deps, who, key_id, wanted.reason))
