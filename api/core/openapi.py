"""The OpenAPI 3.1 document: FastAPI's own, completed from what the routes declare."""

from copy import deepcopy
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.core import openapi_errors
from api.core.envelope import Meta
from api.core.errors import Detail, ErrorAnswer, ErrorBody, ProblemAnswer
from api.core.examples import example_of
from api.core.resource import PERMISSION_FIELD, RawRoute
from contracts.rules.access import PUBLIC
from contracts.rules.limits import DEFAULT, EXEMPT

DESCRIPTION: Final = (
    "Metering, credits, analytics and webhooks for AI usage. Answers are `{data, meta}`, lists add `pagination`, errors"
    " are `{error}` or RFC 9457 when `Accept: application/problem+json` is sent. A 202 is kept: the broker has it."
)
_SCHEMES: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "aihub_live_...",
        "description": "An API key, as `Authorization: Bearer aihub_live_...`",
    },
    "accessToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The access token of a log-in, as `Authorization: Bearer eyJ...`",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key, in its own header"},
}
_ANY_SCHEME: Final[list[dict[str, list[str]]]] = [{name: []} for name in _SCHEMES]
_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "The first answer is replayed for 24 h; another body is refused with 409",
}
_REQUEST_ID: Final = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "1 to 128 of A-Z a-z 0-9 . _ : - come back in the answer; anything else is replaced by a new id",
}
_IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": '^(\\*|(W/)?"[!#-~]*")$'},
    "description": "The ETag that you have: 304 when it is still so",
}
_IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": '^(\\*|"[!#-~]*")$'},
    "description": "The ETag that you have read: 412 when it was changed since",
}
_ETAG: Final = {"ETag": {"schema": {"type": "string"}, "description": "The version of `data`"}}
_REF: Final = "#/components/schemas/"
_ANY_HEAD: Final = {414, 431}
"""What the server answers before there is a route."""
_WITH_BODY: Final = (400, 408, 413, 415, 422)


def build(app: FastAPI, schemas: dict[str, Any]) -> dict[str, Any]:
    """The document of all routes; `schemas` are the hand-written components."""
    document = get_openapi(
        title=app.title, version=app.version, openapi_version="3.1.0", description=DESCRIPTION, routes=app.routes
    )
    for route in app.routes:
        if isinstance(route, RawRoute):
            operation = {**deepcopy(route.operation), PERMISSION_FIELD: route.needs}
            document["paths"].setdefault(route.path, {})["post"] = operation
    for path in document["paths"].values():
        for method, operation in path.items():
            _complete(operation, method)
    document["tags"] = [{"name": name} for name in sorted(_tags(document))]
    components = document.setdefault("components", {})
    components["securitySchemes"] = _SCHEMES
    components["schemas"] = {**_own_schemas(), **components.get("schemas", {}), **deepcopy(schemas)}
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["responses"] = openapi_errors.responses()
    document = _named_apart(document)
    _add_examples(document)
    return document


def _complete(operation: dict[str, Any], method: str) -> None:
    """Security, errors and common headers of one operation."""
    permission = operation.get(PERMISSION_FIELD, PUBLIC)
    errors = set(operation.pop("x-errors", ())) | _ANY_HEAD
    operation["security"] = [] if permission == PUBLIC else _ANY_SCHEME
    if operation.pop("x-limit", DEFAULT) != EXEMPT:
        errors.add(429)
    if not operation.get("x-step-up"):
        operation.pop("x-step-up", None)
    operation.pop("x-in-team", None)
    if permission != PUBLIC:
        errors |= {401, 403, 503}
        operation["description"] = f"{operation.get('description', '')}\n\nPermission: `{permission}`".strip()
    if "requestBody" in operation:
        errors |= set(_WITH_BODY)
    parameters = operation.setdefault("parameters", [])
    if any(parameter["in"] in ("query", "path") for parameter in parameters):
        errors.add(422)
    if operation.pop("x-idempotent", False):
        parameters.append(_IDEMPOTENCY_KEY)
        errors.add(409)
    responses = operation["responses"]
    if operation.pop("x-etag", False):
        _add_etag(parameters, errors, responses, method)
    parameters.append(_REQUEST_ID)
    responses.pop("422", None)
    for status in sorted(errors):
        responses[str(status)] = {"$ref": f"#/components/responses/Error{status}"}
    for status, response in responses.items():
        if "$ref" not in response:
            response["description"] = response.get("description") or HTTPStatus(int(status)).phrase


def _add_etag(parameters: list[Any], errors: set[int], responses: dict[str, Any], method: str) -> None:
    reads = method == "get"
    parameters.append(_IF_NONE_MATCH if reads else _IF_MATCH)
    errors |= {400} if reads else {400, 412}
    if "200" in responses and method != "post":
        responses["200"]["headers"] = _ETAG
    if reads:
        responses["304"] = {"description": "What you have is still so", "headers": _ETAG}


def _tags(document: dict[str, Any]) -> set[str]:
    operations = (operation for path in document["paths"].values() for operation in path.values())
    return {tag for operation in operations for tag in operation["tags"]}


def _named_apart(document: dict[str, Any]) -> dict[str, Any]:
    """Models of two resources that share a name are called by resource and name: `AuthVerifyIn`, `AuditVerifyIn`."""
    schemas = document["components"]["schemas"]
    names = {}
    for old in [name for name in schemas if name.startswith("api__")]:
        _, resource, _, name = old.split("__", 3)
        names[_REF + old] = _REF + (new := resource.title() + name)
        schemas[new] = {**schemas.pop(old), "title": new}
    renamed: dict[str, Any] = _renamed(document, names)
    return renamed


def _renamed(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: names.get(one, one) if key == "$ref" else _renamed(one, names) for key, one in node.items()}
    return [_renamed(one, names) for one in node] if isinstance(node, list) else node


def _add_examples(document: dict[str, Any]) -> None:
    """An example on every JSON body, sent or answered, that has none."""
    schemas = document["components"]["schemas"]
    for path in document["paths"].values():
        for operation in path.values():
            bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
            for content in (content for body in bodies for content in body.get("content", {}).items()):
                media_type, media = content
                if "json" in media_type and "example" not in media and "examples" not in media:
                    media["example"] = example_of(media["schema"], schemas)


def _own_schemas() -> dict[str, Any]:
    models: list[tuple[type[BaseModel], Any]] = [
        (model, "serialization") for model in (Meta, Detail, ErrorBody, ErrorAnswer, ProblemAnswer)
    ]
    _, found = models_json_schema(models, ref_template="#/components/schemas/{model}")
    return dict(found["$defs"])
