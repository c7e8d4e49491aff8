"""The OpenAPI 3.1 document: FastAPI's own, completed from what the routes declare."""

from copy import deepcopy
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.core.envelope import Meta
from api.core.errors import PROBLEM, Detail, ErrorAnswer, ErrorBody
from api.core.permissions import PUBLIC
from api.core.resource import PERMISSION_FIELD, RawRoute

DESCRIPTION: Final = (
    "Metering, credits, analytics and webhooks for AI usage. Answers are `{data, meta}`, lists add `pagination`, errors"
    " are `{error}` or RFC 9457 when `Accept: application/problem+json` is sent. A 202 is kept: the broker has it."
)
_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "aihub_live_..."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_MEANING: Final = {
    400: "Malformed: not the JSON, encoding or form that it should be",
    401: "No API key, or an unknown, revoked or expired one",
    403: "The key lacks the permission",
    404: "There is no such thing",
    405: "The method does not work here",
    408: "The body did not arrive within 15 s",
    409: "In conflict with what is there, or with the first use of the Idempotency-Key",
    410: "It was there and is gone",
    413: "Too large, or too many events",
    415: "A Content-Type or Content-Encoding that is not taken",
    422: "Well-formed, but a value is not allowed: `details` hold JSON pointers",
    503: "A dependency is away or a buffer is full: try again after Retry-After",
}
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
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
    "description": "Comes back in the answer; made when missing",
}
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
    components = document.setdefault("components", {})
    components["securitySchemes"] = _SCHEMES
    components["schemas"] = {**_own_schemas(), **components.get("schemas", {}), **deepcopy(schemas)}
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["responses"] = {f"Error{status}": _error(status) for status in _MEANING}
    return document


def _complete(operation: dict[str, Any], method: str) -> None:
    """Security, errors and common headers of one operation."""
    permission = operation.get(PERMISSION_FIELD, PUBLIC)
    errors = set(operation.pop("x-errors", ()))
    operation["security"] = [] if permission == PUBLIC else [{"bearer": []}, {"apiKey": []}]
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
    parameters.append(_REQUEST_ID)
    responses = operation["responses"]
    responses.pop("422", None)
    for status in sorted(errors):
        responses[str(status)] = {"$ref": f"#/components/responses/Error{status}"}
    for status, response in responses.items():
        if "$ref" not in response:
            response["description"] = response.get("description") or HTTPStatus(int(status)).phrase


def _own_schemas() -> dict[str, Any]:
    models: list[tuple[type[BaseModel], Any]] = [
        (model, "serialization") for model in (Meta, Detail, ErrorBody, ErrorAnswer)
    ]
    _, found = models_json_schema(models, ref_template="#/components/schemas/{model}")
    return dict(found["$defs"])


def _error(status: int) -> dict[str, Any]:
    answer = {"$ref": "#/components/schemas/ErrorAnswer"}
    problem = {
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string"},
            "request_id": {"type": "string"},
            "timestamp": {"type": "string"},
            "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Detail"}},
        },
    }
    response: dict[str, Any] = {
        "description": _MEANING[status],
        "content": {"application/json": {"schema": answer}, PROBLEM: {"schema": problem}},
    }
    if status == 503:
        response["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
    return response
