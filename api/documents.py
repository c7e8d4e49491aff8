"""`/v1/openapi.json` and `/v1/asyncapi.json`: made once, when first asked for."""

from functools import cache
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from api.core import openapi
from api.core.envelope import JsonBytes
from api.core.permissions import PUBLIC
from api.core.resource import DepsIn, Resource
from api.events.openapi import SCHEMAS
from contracts import asyncapi

routes: Final = Resource("/v1", "documents")


class Document(BaseModel):
    """A document of its own standard."""

    model_config = ConfigDict(extra="allow")


@routes.get("/openapi.json", needs=PUBLIC, answers=Document)
async def openapi_document(request: Request) -> Response:
    """This API as OpenAPI 3.1."""
    state: Any = request.app.state
    if not hasattr(state, "openapi"):
        state.openapi = orjson.dumps(openapi.build(request.app, SCHEMAS))
    return JsonBytes(state.openapi)


@routes.get("/asyncapi.json", needs=PUBLIC, answers=Document)
async def asyncapi_document(request: Request, deps: DepsIn) -> Response:
    """The topics and events as AsyncAPI 3.0."""
    return JsonBytes(_asyncapi(deps.options.version))


@cache
def _asyncapi(version: str) -> bytes:
    return orjson.dumps(asyncapi.document(version))
