"""`/v1/webhooks`."""

from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api.core.envelope import Answer, Listing, reply
from api.core.etags import PreconditionIn
from api.core.idempotency import once
from api.core.paging import NumberedPageIn, PageIn, Pagination
from api.core.resource import DepsIn, Resource, Who
from api.webhooks import deliveries, service
from api.webhooks.schemas import (
    DeliveryOut,
    DeliveryWithAttempts,
    EndpointChange,
    EndpointIn,
    EndpointOut,
    EndpointWithSecret,
    EventTypeOut,
    RotateIn,
    SentOut,
    State,
    TestIn,
)
from infra.postgres.webhooks_listing import Filters

routes: Final = Resource("/v1/webhooks", "webhooks")

OfEndpoint = Annotated[str | None, Query(max_length=64, description="Only of this endpoint")]
InState = Annotated[State | None, Query(description="Only in this state")]
OfEvent = Annotated[str | None, Query(max_length=255, description="Only of this event and of what followed from it")]


@routes.get("/endpoints", needs="webhooks:read", answers=Listing[EndpointOut])
async def list_endpoints(request: Request, who: Who, deps: DepsIn, page: NumberedPageIn) -> Response:
    """The organization's endpoints, the newest first; by cursor, or by `page` with totals."""
    rows, pagination = await service.list_endpoints(deps, who, page)
    return reply(request, rows, pagination=pagination)


@routes.post(
    "/endpoints", needs="webhooks:write", answers=Answer[EndpointWithSecret], status=201, errors=(409,), idempotent=True
)
async def create_endpoint(request: Request, who: Who, deps: DepsIn, wanted: EndpointIn) -> Response:
    """Make an endpoint; its secret is in this answer and never again."""

    async def act() -> Response:
        return reply(request, await service.create_endpoint(deps, who, wanted), status=201)

    return await once(request, who, act)


@routes.get("/endpoints/{endpoint_id}", needs="webhooks:read", answers=Answer[EndpointOut], errors=(404,), etag=True)
async def read_endpoint(request: Request, who: Who, deps: DepsIn, endpoint_id: str) -> Response:
    """One endpoint."""
    return reply(request, await service.read_endpoint(deps, who, endpoint_id), etag=True)


@routes.patch("/endpoints/{endpoint_id}", needs="webhooks:write", answers=Answer[EndpointOut], errors=(404,), etag=True)
async def change_endpoint(
    request: Request, who: Who, deps: DepsIn, precondition: PreconditionIn, endpoint_id: str, wanted: EndpointChange
) -> Response:
    """Change an endpoint; enabling it again resumes the deliveries that were held."""
    return reply(request, await service.change_endpoint(deps, who, endpoint_id, wanted, precondition), etag=True)


@routes.delete("/endpoints/{endpoint_id}", needs="webhooks:write", answers=None, status=204, errors=(404,), etag=True)
async def delete_endpoint(
    request: Request, who: Who, deps: DepsIn, precondition: PreconditionIn, endpoint_id: str
) -> Response:
    """Delete an endpoint; deliveries that wait for it end."""
    await service.delete_endpoint(deps, who, endpoint_id, precondition)
    return Response(status_code=204)


@routes.post(
    "/endpoints/{endpoint_id}/rotate-secret",
    needs="webhooks:write",
    answers=Answer[EndpointWithSecret],
    errors=(404, 409),
    idempotent=True,
    etag=True,
)
async def rotate_secret(
    request: Request, who: Who, deps: DepsIn, precondition: PreconditionIn, endpoint_id: str, wanted: RotateIn
) -> Response:
    """Make a new secret; the old one goes on signing beside it for the overlap."""

    async def act() -> Response:
        rotated = await service.rotate_secret(deps, who, endpoint_id, wanted.overlap_hours, precondition)
        return reply(request, rotated)

    return await once(request, who, act)


@routes.post(
    "/endpoints/{endpoint_id}/test",
    needs="webhooks:write",
    answers=Answer[SentOut],
    status=202,
    errors=(404, 409),
    idempotent=True,
)
async def send_test(request: Request, who: Who, deps: DepsIn, endpoint_id: str, wanted: TestIn) -> Response:
    """Send an example of an event type to the endpoint."""

    async def act() -> Response:
        return reply(request, await deliveries.send_test(deps, who, endpoint_id, wanted.event_type), status=202)

    return await once(request, who, act)


@routes.get("/event-types", needs="webhooks:read", answers=Listing[EventTypeOut])
async def event_types(request: Request, who: Who, deps: DepsIn) -> Response:
    """Every event type with the JSON Schema of its data and an example."""
    found = deliveries.event_types()
    return reply(request, found, pagination=Pagination(limit=len(found), has_more=False, next_cursor=None))


@routes.get("/deliveries", needs="webhooks:read", answers=Listing[DeliveryOut])
async def list_deliveries(
    request: Request,
    who: Who,
    deps: DepsIn,
    page: PageIn,
    endpoint_id: OfEndpoint = None,
    state: InState = None,
    event_id: OfEvent = None,
) -> Response:
    """The organization's deliveries, the newest first."""
    rows, pagination = await deliveries.list_deliveries(deps, who, Filters(endpoint_id, state, event_id), page)
    return reply(request, rows, pagination=pagination)


@routes.get("/deliveries/{delivery_id}", needs="webhooks:read", answers=Answer[DeliveryWithAttempts], errors=(404,))
async def read_delivery(request: Request, who: Who, deps: DepsIn, delivery_id: str) -> Response:
    """One delivery and every attempt to make it."""
    return reply(request, await deliveries.read_delivery(deps, who, delivery_id))


@routes.post(
    "/deliveries/{delivery_id}/retry",
    needs="webhooks:write",
    answers=Answer[DeliveryOut],
    status=202,
    errors=(404, 409),
    idempotent=True,
)
async def retry_delivery(request: Request, who: Who, deps: DepsIn, delivery_id: str) -> Response:
    """Send a delivery again now, with the same webhook-id; it is one more attempt."""

    async def act() -> Response:
        return reply(request, await deliveries.retry_delivery(deps, who, delivery_id), status=202)

    return await once(request, who, act)
