"""`/v1/audit`."""

from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.audit import service
from api.audit.schemas import AllVerdicts, AuditEvent, HeadOut, VerdictOut, VerifyIn
from api.core.envelope import Answer, Listing, reply
from api.core.paging import PageIn
from api.core.resource import DepsIn, Resource, Who
from contracts.types import Instant
from infra.postgres.audit import Filter

routes: Final = Resource("/v1/audit", "audit")

OfType = Annotated[str | None, Query(max_length=255, description="Only of this type; `auth.role.*` for a family")]
ByActor = Annotated[str | None, Query(max_length=255, description="Only what this user or key did")]
AboutUser = Annotated[str | None, Query(max_length=255, description="Only what is about this user")]
Since = Annotated[Instant | None, Query(description="Accepted at this time or later (RFC 3339)")]
Until = Annotated[Instant | None, Query(description="Accepted before this time (RFC 3339)")]


@routes.get("/events", needs="audit:read", answers=Listing[AuditEvent])
async def list_events(
    request: Request,
    who: Who,
    deps: DepsIn,
    page: PageIn,
    type: OfType = None,
    actor: ByActor = None,
    user: AboutUser = None,
    since: Since = None,
    until: Until = None,
) -> Response:
    """What happened to people, keys and roles, the newest first."""
    wanted = Filter(type, actor, user, since, until)
    rows, pagination = await service.list_events(deps, who, wanted, page)
    return reply(request, rows, pagination=pagination)


@routes.get("/export", needs="audit:export", answers=None, media="application/x-ndjson")
async def export_events(request: Request, who: Who, deps: DepsIn) -> Response:
    """The whole trail as NDJSON, the oldest first."""
    return StreamingResponse(service.export(deps, who), media_type="application/x-ndjson")


@routes.get("/head", needs="audit:export", answers=Answer[HeadOut])
async def read_head(request: Request, who: Who, deps: DepsIn) -> Response:
    """Where the trail's hash chain ends: note it elsewhere, and compare later."""
    return reply(request, await service.head(deps, who))


@routes.post("/verify", needs="audit:read", answers=Answer[VerdictOut])
async def verify_trail(request: Request, who: Who, deps: DepsIn, wanted: VerifyIn) -> Response:
    """Recompute the whole chain; compare it with its copy in ClickHouse and with a head that you noted."""
    return reply(request, await service.prove(deps, who, wanted.noted))


@routes.post("/verify-all", needs="system:reconcile", answers=Answer[AllVerdicts])
async def verify_all_trails(request: Request, deps: DepsIn) -> Response:
    """Prove the trails of all organizations."""
    return reply(request, await service.prove_all(deps))
