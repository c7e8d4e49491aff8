"""`/v1/admin/dead-letters`."""

from typing import Annotated, Final, Literal

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.core.envelope import Answer, Listing, reply
from api.core.idempotency import once
from api.core.paging import PageIn
from api.core.resource import DepsIn, Resource, Who
from api.deadletters import service
from api.deadletters.schemas import DeadLetterFull, DeadLetterOut, Decided
from infra.postgres.trails import Filter

routes: Final = Resource("/v1/admin/dead-letters", "dead-letters")

Name = Annotated[str | None, Query(min_length=1, max_length=255)]
State = Annotated[Literal["parked", "redriven", "dropped"] | None, Query(description="Only in this state")]
LetterId = Annotated[str, Path(max_length=64, examples=["dl_019ab0c2f3e47d5a8b1c2d3e4f506172"])]


@routes.get("", needs="deadletters:read", answers=Listing[DeadLetterOut])
async def list_letters(
    request: Request,
    who: Who,
    deps: DepsIn,
    page: PageIn,
    consumer: Name = None,
    reason: Name = None,
    state: State = None,
    event_id: Name = None,
) -> Response:
    """Records that consumers parked, the newest first."""
    wanted = Filter(consumer=consumer, reason=reason, state=state, event_id=event_id)
    rows, pagination = await service.list_letters(deps, who, wanted, page)
    return reply(request, rows, pagination=pagination)


@routes.get("/{letter_id}", needs="deadletters:read", answers=Answer[DeadLetterFull], errors=(404,))
async def letter(request: Request, who: Who, deps: DepsIn, letter_id: LetterId) -> Response:
    """One dead letter with the record itself."""
    return reply(request, await service.letter(deps, who, letter_id))


@routes.post(
    "/{letter_id}/redrive", needs="deadletters:write", answers=Answer[Decided], errors=(404, 409), idempotent=True
)
async def redrive(request: Request, who: Who, deps: DepsIn, letter_id: LetterId) -> Response:
    """Publish the record into its topic again; its identity keeps the effect single."""

    async def act() -> Response:
        return reply(request, await service.redrive(deps, who, letter_id))

    return await once(request, who, act)


@routes.post("/{letter_id}/drop", needs="deadletters:write", answers=Answer[Decided], errors=(404, 409))
async def drop(request: Request, who: Who, deps: DepsIn, letter_id: LetterId) -> Response:
    """Give the record up; that stays on record."""
    return reply(request, await service.drop(deps, who, letter_id))
