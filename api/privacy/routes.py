"""`/v1/users/me/data`."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.core.envelope import Answer, reply
from api.core.request_ids import context_of
from api.core.resource import DepsIn, Resource, Who
from api.privacy import service
from api.privacy.schemas import Erased, EraseIn, PersonalData
from contracts.rules.access import SELF

routes: Final = Resource("/v1/users/me/data", "privacy")


@routes.get("", needs=SELF, step_up=True, answers=Answer[PersonalData])
async def export_data(request: Request, who: Who, deps: DepsIn) -> Response:
    """Everything that is kept about you (GDPR, article 15)."""
    return reply(request, await service.personal_data(deps, who))


@routes.post("/erase", needs=SELF, step_up=True, answers=Answer[Erased], errors=(409,))
async def erase_data(request: Request, who: Who, deps: DepsIn, wanted: EraseIn) -> Response:
    """Erase everything that names you (GDPR, article 17); sums stay, and it cannot be undone."""
    return reply(request, await service.erase(deps, who, context_of(request)))
