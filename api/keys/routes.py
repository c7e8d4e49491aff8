"""`/v1/keys`."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.core.actor import ActorIn
from api.core.envelope import Answer, Listing, reply
from api.core.etags import PreconditionIn
from api.core.idempotency import once
from api.core.paging import NumberedPageIn
from api.core.resource import DepsIn, Resource, Who
from api.keys import service
from api.keys.schemas import KeyChange, KeyIn, KeyOut, KeyRevocationIn, KeyRotationIn, KeySeen

routes: Final = Resource("/v1/keys", "keys")


@routes.post("", needs="keys:write", answers=Answer[KeyOut], status=201, idempotent=True, step_up=True)
async def create_key(request: Request, who: Who, deps: DepsIn, actor: ActorIn, wanted: KeyIn) -> Response:
    """Make an API key; it is shown in this answer and never again."""

    async def act() -> Response:
        return reply(request, await service.create_key(deps, request.app.state.keyring, actor, wanted), status=201)

    return await once(request, who, act)


@routes.get("", needs="keys:read", answers=Listing[KeySeen])
async def list_keys(request: Request, who: Who, deps: DepsIn, page: NumberedPageIn) -> Response:
    """The organization's keys, the newest first."""
    rows, pagination = await service.list_keys(deps, who, page)
    return reply(request, rows, pagination=pagination)


@routes.get("/{key_id}", needs="keys:read", answers=Answer[KeyOut], errors=(404,), etag=True)
async def read_key(request: Request, who: Who, deps: DepsIn, key_id: str) -> Response:
    """One key."""
    return reply(request, await service.read_key(deps, who, key_id), etag=True)


@routes.patch("/{key_id}", needs="keys:write", answers=Answer[KeyOut], errors=(404, 409), etag=True, step_up=True)
async def change_key(
    request: Request, deps: DepsIn, actor: ActorIn, precondition: PreconditionIn, key_id: str, wanted: KeyChange
) -> Response:
    """Change a key's name, expiry or networks; what was not sent stays."""
    return reply(request, await service.change_key(deps, actor, key_id, wanted, precondition), etag=True)


@routes.post(
    "/{key_id}/rotate", needs="keys:write", answers=Answer[KeyOut], errors=(404, 409), idempotent=True, step_up=True
)
async def rotate_key(
    request: Request, who: Who, deps: DepsIn, actor: ActorIn, key_id: str, wanted: KeyRotationIn
) -> Response:
    """Give a key a new secret, shown in this answer; the one before works for the overlap."""

    async def act() -> Response:
        return reply(request, await service.rotate_key(deps, actor, key_id, wanted.overlap_hours))

    return await once(request, who, act)


@routes.post("/{key_id}/revoke", needs="keys:write", answers=Answer[KeyOut], errors=(404,), step_up=True)
async def revoke_key(request: Request, deps: DepsIn, actor: ActorIn, key_id: str, wanted: KeyRevocationIn) -> Response:
    """Revoke a key: refused everywhere within a second. Revoking again changes nothing."""
    return reply(request, await service.revoke_key(deps, actor, key_id, wanted.reason))
