"""One shape for every error: ours, the framework's, and bugs."""

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api.core.request_ids import KEY, Context
from contracts import json_text
from contracts.errors import (
    AihubError,
    Invalid,
    Malformed,
    MethodNotAllowed,
    NotFound,
    PermissionDenied,
    Problem,
    StepUpRequired,
)
from contracts.types import rfc3339

_log = structlog.get_logger(__name__)

PROBLEM: str = "application/problem+json"
_STEP_UP = ', error="insufficient_user_authentication", max_age="300"'
"""RFC 9470, section 3."""


class Detail(BaseModel):
    """One thing that is wrong; `pointer` (RFC 6901) leads into the body, or to `/query/...`, `/path/...`."""

    pointer: str = Field(examples=["/data/input_tokens"])
    code: str = Field(examples=["greater_than_equal"])
    message: str = Field(examples=["Input should be greater than or equal to 0"])


class ErrorBody(BaseModel):
    """What went wrong and what to do."""

    code: str = Field(examples=["invalid"])
    message: str = Field(examples=["The data does not fit usage.recorded.v1."])
    details: list[Detail] = []
    timestamp: str = Field(examples=["2026-11-23T07:30:00.123456Z"])
    request_id: str = Field(examples=["req_019ab0c2f3e47d5a8b1c2d3e4f506172"])


class ErrorAnswer(BaseModel):
    """Every error of this API."""

    error: ErrorBody


class ProblemAnswer(BaseModel):
    """The same error as RFC 9457 has it, for `Accept: application/problem+json`."""

    type: str = Field(examples=["urn:aihub:error:invalid"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["The data does not fit usage.recorded.v1."])
    code: str = Field(examples=["invalid"])
    errors: list[Detail] = []
    timestamp: str = Field(examples=["2026-11-23T07:30:00.123456Z"])
    request_id: str = Field(examples=["req_019ab0c2f3e47d5a8b1c2d3e4f506172"])


def install(app: FastAPI) -> None:
    """Makes every error of the app come out in the one shape."""
    app.add_exception_handler(AihubError, _ours)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _framework)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _validation)  # type: ignore[arg-type]
    app.add_exception_handler(ClientDisconnect, _gone)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, bug)


def details(problems: tuple[Problem, ...]) -> list[dict[str, str]]:
    """The problems as they stand in JSON."""
    return [problem._asdict() for problem in problems]


def render(request: Request, error: AihubError, headers: dict[str, str] | None = None) -> Response:
    """The error as the caller wants it: our envelope, or RFC 9457 when `Accept` asks for it."""
    context: Context = request.scope[KEY]
    if isinstance(error, PermissionDenied) and error.permission and "principal" in context.found:
        request.app.state.denials.note(context, context.found["principal"], error.permission)
    now = rfc3339(request.app.state.deps.clock.now())
    headers = dict(headers or {})
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.status == 401:
        step_up = isinstance(error, StepUpRequired)
        headers["WWW-Authenticate"] = 'Bearer realm="aihub"' + (_STEP_UP if step_up else "")
    body: dict[str, Any] = {
        "code": error.code,
        "details": details(error.problems),
        "timestamp": now,
        "request_id": context.request_id,
    }
    if PROBLEM.encode() not in context.headers.get(b"accept", b""):
        return _json({"error": {"message": error.message, **body}}, error.status, headers, "application/json")
    title = HTTPStatus(error.status).phrase
    problem = {"type": f"urn:aihub:error:{error.code}", "title": title, "status": error.status}
    body["errors"] = body.pop("details")
    return _json({**problem, "detail": error.message, **body}, error.status, headers, PROBLEM)


def _json(body: dict[str, Any], status: int, headers: dict[str, str], media_type: str) -> Response:
    return Response(to_json(body), status, headers, media_type)


async def _ours(request: Request, error: AihubError) -> Response:
    return render(request, error)


async def _framework(request: Request, error: HTTPException) -> Response:
    headers = dict(error.headers or {})
    if isinstance(error.__cause__, AihubError):
        return render(request, error.__cause__, headers)
    if error.status_code == 404:
        return render(request, NotFound(f"There is nothing at {request.url.path}."), headers)
    if error.status_code == 405:
        allowed = headers.get("Allow", "")
        return render(request, MethodNotAllowed(f"{request.method} does not work here; use {allowed}."), headers)
    return render(request, Malformed(str(error.detail)), headers)


async def _validation(request: Request, error: RequestValidationError) -> Response:
    problems = tuple(Problem(_pointer(item["loc"]), item["type"], item["msg"]) for item in error.errors()[:20])
    first = problems[0]
    return render(request, Invalid(f"{first.pointer or 'The body'}: {first.message}.", problems=problems))


def _pointer(loc: tuple[str | int, ...]) -> str:
    return json_text.pointer(*(loc[1:] if loc[0] == "body" else loc))


async def _gone(_request: Request, _error: ClientDisconnect) -> Response:
    return Response(status_code=499)


async def bug(request: Request, error: Exception) -> Response:
    """What is said of a bug; the server logs its traceback."""
    context: Context = request.scope[KEY]
    _log.error("request.failed", request_id=context.request_id, route=context.route, error=type(error).__name__)
    return render(request, AihubError("Something went wrong on our side; the request id helps us to find it."))
