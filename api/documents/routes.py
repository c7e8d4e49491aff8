"""`/v1/openapi.json`, `/v1/asyncapi.json` and their pages `/v1/docs`, `/v1/docs/events`: made once, when asked for."""

from functools import cache
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from api.core import assets, openapi
from api.core.envelope import JsonBytes
from api.core.resource import DepsIn, Resource
from api.documents import events_page, html
from api.events.openapi import SCHEMAS
from contracts import asyncapi
from contracts.rules.access import PUBLIC
from contracts.rules.limits import EXEMPT, LENIENT

routes: Final = Resource("/v1", "documents")

_REFERENCE: Final = '<main id="reference" data-document="openapi.json"></main>'


class Document(BaseModel):
    """A document of its own standard."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{"openapi": "3.1.0"}]})


@routes.get("/openapi.json", needs=PUBLIC, limit=LENIENT, answers=Document)
async def openapi_document(request: Request) -> Response:
    """This API as OpenAPI 3.1."""
    state: Any = request.app.state
    if not hasattr(state, "openapi"):
        state.openapi = orjson.dumps(openapi.build(request.app, SCHEMAS))
    return JsonBytes(state.openapi)


@routes.get("/asyncapi.json", needs=PUBLIC, limit=LENIENT, answers=Document)
async def asyncapi_document(request: Request, deps: DepsIn) -> Response:
    """The topics and events as AsyncAPI 3.0."""
    return JsonBytes(_asyncapi(deps.options.version))


@routes.get("/docs", needs=PUBLIC, limit=LENIENT, answers=None, media="text/html")
async def reference_page(request: Request) -> Response:
    """The API reference as a page, from the OpenAPI document."""
    scripts = ("swagger-ui-bundle.js", "reference.js")
    return html.page("API reference", "", _REFERENCE, styles=("swagger-ui.css", "pages.css"), scripts=scripts)


@routes.get("/docs/events", needs=PUBLIC, limit=LENIENT, answers=None, media="text/html")
async def events_reference_page(request: Request, deps: DepsIn) -> Response:
    """The topics and events as a page, from the AsyncAPI document."""
    return html.page("Events", "../", _events(deps.options.version), styles=("pages.css",))


@routes.get("/docs/assets/{name}", needs=PUBLIC, limit=EXEMPT, answers=None, media=assets.MEDIA_TYPES, errors=(404,))
async def read_asset(request: Request, name: str) -> Response:
    """A script or style sheet of the pages."""
    return assets.serve(request, html.FOLDER, name)


@cache
def _asyncapi(version: str) -> bytes:
    return orjson.dumps(asyncapi.document(version))


@cache
def _events(version: str) -> str:
    return events_page.body(asyncapi.document(version))
