"""`/v1/analytics`."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api.analytics import service
from api.analytics.schemas import Summary, SummaryIn, UsageIn, UsagePoint
from api.core.envelope import Answer, reply
from api.core.resource import DepsIn, Resource, Who
from contracts.types import rfc3339

routes: Final = Resource("/v1/analytics", "analytics")


@routes.get("/usage", needs="analytics:read", answers=Answer[list[UsagePoint]])
async def usage(request: Request, who: Who, deps: DepsIn, wanted: Annotated[UsageIn, Query()]) -> Response:
    """Usage over time: events, tokens, quantities and credits by window and group, each event counted once."""
    points, fresh = await service.usage(deps, who.organization_id, wanted)
    return reply(request, points, complete_through=fresh.usage, credits_complete_through=_text(fresh.credits))


@routes.get("/summary", needs="analytics:read", answers=Answer[Summary])
async def summary(request: Request, who: Who, deps: DepsIn, wanted: Annotated[SummaryIn, Query()]) -> Response:
    """Totals of a period and the models that were used most."""
    found, fresh = await service.summary(deps, who.organization_id, wanted)
    return reply(request, found, complete_through=fresh.usage, credits_complete_through=_text(fresh.credits))


def _text(instant: datetime | None) -> str | None:
    return rfc3339(instant) if instant else None
