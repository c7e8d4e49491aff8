"""The shape of every answer: `{data, meta}`, lists with `pagination`."""

from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from api.core.etags import etag_of, not_modified, unchanged
from api.core.paging import Pagination, link_header
from api.core.request_ids import context_of
from contracts.types import rfc3339
from infra.clock import Clock

T = TypeVar("T")


class Meta(BaseModel):
    """About the answer. `complete_through`: everything accepted up to this instant is in it."""

    timestamp: str = Field(examples=["2026-11-23T07:30:00.123456Z"])
    request_id: str = Field(examples=["req_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    complete_through: str | None = Field(default=None, examples=["2026-11-23T07:29:59.900000Z"])


class Answer(BaseModel, Generic[T]):
    """One thing."""

    data: T
    meta: Meta


class Listing(BaseModel, Generic[T]):
    """A page of things."""

    data: list[T]
    meta: Meta
    pagination: Pagination


class JsonBytes(Response):
    """An answer that is JSON already."""

    media_type = "application/json"


def reply(
    request: Request,
    data: Any,
    *,
    status: int = 200,
    pagination: Pagination | None = None,
    complete_through: datetime | None = None,
    etag: bool = False,
    headers: dict[str, str] | None = None,
    **meta: Any,
) -> Response:
    """The answer. `data` may hold models, dataclasses, datetimes; further keywords go into `meta`.

    `etag`: with the data's ETag, and 304 to a GET whose If-None-Match has it already. Raises: Malformed (a broken one).
    """
    headers = dict(headers or {})
    if etag:
        headers["ETag"] = tag = etag_of(data)
        if request.method == "GET" and not_modified(request, tag):
            return unchanged(tag)
    clock: Clock = request.app.state.deps.clock
    about: dict[str, Any] = {"timestamp": rfc3339(clock.now()), "request_id": context_of(request).request_id}
    if complete_through is not None:
        about["complete_through"] = rfc3339(complete_through)
    body: dict[str, Any] = {"data": data, "meta": {**about, **meta}}
    if pagination is not None:
        body["pagination"] = pagination
        if link := link_header(request.url, pagination):
            headers["Link"] = link
    return JsonBytes(to_json(body), status, headers)
