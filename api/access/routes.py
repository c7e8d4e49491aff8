"""`/v1/access`, and what a member holds."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.access import service
from api.access.schemas import CheckIn, CheckOut, ChecksIn, PermissionsOut
from api.core.envelope import Answer, reply
from api.core.resource import DepsIn, Resource, Who
from contracts.rules.access import ANYBODY

routes: Final = Resource("/v1", "access")


@routes.post("/access/check", needs=ANYBODY, answers=Answer[CheckOut])
async def check(request: Request, who: Who, deps: DepsIn, wanted: CheckIn) -> Response:
    """May they, and why? About oneself, or about another member with users:read."""
    return reply(request, (await service.check(deps, request.app.state.standings, who, [wanted]))[0])


@routes.post("/access/checks", needs=ANYBODY, answers=Answer[list[CheckOut]])
async def check_all(request: Request, who: Who, deps: DepsIn, wanted: ChecksIn) -> Response:
    """The same for up to 100 questions, in their order."""
    return reply(request, await service.check(deps, request.app.state.standings, who, wanted.checks, "/checks"))


@routes.get("/users/{user_id}/permissions", needs=ANYBODY, answers=Answer[PermissionsOut], errors=(404,))
async def read_permissions(request: Request, who: Who, user_id: str) -> Response:
    """What a member (`me`: oneself) holds, and where each permission comes from."""
    return reply(request, await service.read_permissions(request.app.state.standings, who, user_id))
