"""The errors of the OpenAPI document: one response per status, with every code that it may carry."""

from http import HTTPStatus
from typing import Any, Final

from api.core.errors import PROBLEM
from contracts.errors import AihubError, InputError, RateLimited, Unavailable

MEANING: Final = {
    400: "Malformed: not the JSON, encoding or form that it should be",
    401: "No API key or access token, or an unknown, revoked or expired one",
    402: "The credits do not suffice",
    403: "The permission is missing",
    404: "There is no such thing",
    405: "The method does not work here",
    406: "No form that `Accept` takes",
    408: "The body did not arrive within 15 s",
    409: "In conflict with what is there, or with the first use of the Idempotency-Key",
    410: "It was there and is gone",
    412: "It is another version than If-Match names",
    413: "Too large, or too many events",
    414: "The address is longer than 8,192 bytes",
    415: "A Content-Type or Content-Encoding that is not taken",
    422: "Well-formed, but a value is not allowed: `details` hold JSON pointers",
    429: "Too many requests: try again after Retry-After",
    431: "More than 100 headers, or more than 32,768 bytes of them",
    503: "A dependency is away or a buffer is full: try again after Retry-After",
}
"""The one table of statuses."""

_EXAMPLE: Final = {"timestamp": "2026-11-23T07:30:00.123456Z", "request_id": "req_019ab0c2f3e47d5a8b1c2d3e4f506172"}
_LIMIT_HEADERS: Final = {
    "RateLimit-Policy": {"schema": {"type": "string"}, "example": '"default";q=60;w=60', "description": "The limit"},
    "RateLimit": {"schema": {"type": "string"}, "example": '"default";r=0;t=17', "description": "What is left of it"},
}
"""Also on every other answer of a limited route."""
_DETAIL: Final = {"pointer": "/name", "code": "missing", "message": "Field required"}


def responses() -> dict[str, Any]:
    """`components.responses`: one a status."""
    return {f"Error{status}": _response(status) for status in MEANING}


def codes_of(status: int) -> list[str]:
    """Every `code` that comes with the status."""
    return sorted({error.code for base in (InputError, Unavailable) for error in _tree(base) if error.status == status})


def _tree(error: type[AihubError]) -> list[type[AihubError]]:
    return [error, *(found for one in error.__subclasses__() for found in _tree(one))]


def _response(status: int) -> dict[str, Any]:
    codes = codes_of(status)
    answer = {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}, "example": _answer(status, codes[0])}
    problem = {"schema": {"$ref": "#/components/schemas/ProblemAnswer"}, "example": _problem(status, codes[0])}
    words = ", ".join(f"`{code}`" for code in codes)
    response: dict[str, Any] = {
        "description": f"{MEANING[status]}. Codes: {words}",
        "content": {"application/json": answer, PROBLEM: problem},
    }
    if status in (RateLimited.status, Unavailable.status):
        response["headers"] = {"Retry-After": {"schema": {"type": "integer", "minimum": 0}, "description": "Seconds"}}
    if status == RateLimited.status:
        response["headers"] |= _LIMIT_HEADERS
    return response


def _details(status: int) -> list[dict[str, str]]:
    return [_DETAIL] if status == 422 else []


def _answer(status: int, code: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": MEANING[status], "details": _details(status), **_EXAMPLE}}


def _problem(status: int, code: str) -> dict[str, Any]:
    about = {"type": f"urn:aihub:error:{code}", "title": HTTPStatus(status).phrase, "status": status}
    return {**about, "detail": MEANING[status], "code": code, "errors": _details(status), **_EXAMPLE}
