"""How a resource declares its routes: each names its permission, its answer and its errors.

routes = Resource("/v1/credits", "credits")

@routes.get("/balance", needs="credits:read", answers=Answer[Balance])
async def balance(request: Request, who: Who, deps: DepsIn) -> Response:
    "What the organization may spend."
    return reply(request, await service.balance(deps, who.organization_id))
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, Final, Protocol, TypeVar

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api.core.admission import Gate, Needs
from api.core.principal import Principal
from api.core.request_ids import context_of
from api.deps import Deps
from contracts import json_text
from contracts.errors import Invalid, NotFound, Problem, UnsupportedMediaType
from contracts.rules.access import ANYBODY, PERMISSIONS, PUBLIC, SELF
from contracts.rules.limits import CLASSES, DEFAULT, EXEMPT

Endpoint = TypeVar("Endpoint", bound=Callable[..., Awaitable[Response]])

PERMISSION_FIELD: Final = "x-permission"
"""Where a route's permission stands, in the route and in the OpenAPI document."""


async def _deps(request: Request) -> Deps:
    deps: Deps = request.app.state.deps
    return deps


async def _who(request: Request) -> Principal:
    principal: Principal = context_of(request).found["principal"]
    return principal


DepsIn = Annotated[Deps, Depends(_deps)]
Who = Annotated[Principal, Depends(_who)]
"""Who asks; only on routes that are not public."""


class StrictRequest(Request):
    """A request whose JSON is read strictly: no duplicate keys, NaN, lone surrogates ..."""

    async def json(self) -> Any:
        """The body's value. Raises: Malformed."""
        return json_text.parse(await self.body())


class GuardedRoute(APIRoute):
    """Asks for the key and its permission before a byte of the body is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler behind the guard."""
        handle = super().get_route_handler()
        extra = self.openapi_extra or {}
        needs = Needs(extra[PERMISSION_FIELD], extra["x-step-up"], extra["x-in-team"], extra["x-limit"])
        path = self.path_format

        async def guarded(request: Request) -> Response:
            context = context_of(request)
            context.route = path
            gate: Gate = request.app.state.gate
            await gate.admit(context, needs)
            _no_nul(request)
            if self.body_field is not None:
                _json_only(request)
            return await handle(StrictRequest(request.scope, request.receive))

        return guarded


def _no_nul(request: Request) -> None:
    """PostgreSQL stores no NUL, so nothing has such an id. Raises: NotFound, Invalid (in the query)."""
    if any("\x00" in str(value) for value in request.path_params.values()):
        raise NotFound("There is nothing under an id with a NUL character.")
    if b"%00" in request.scope["query_string"]:
        for name, value in request.query_params.multi_items():
            if "\x00" in value:
                problem = Problem(f"/query/{name}", "nul", "contains a NUL character; remove it")
                raise Invalid("A query may not contain NUL characters.", problems=(problem,))


def _json_only(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType("Send the body as `Content-Type: application/json`.")


_LOCATION: Final = {"schema": {"type": "string"}, "description": "Where the browser goes"}
_ELSEWHERE: Final[dict[int | str, Any]] = {303: {"description": "Go there", "headers": {"Location": _LOCATION}}}


class Guarded(Protocol):
    """An ASGI application that asks for the permission `needs` by itself."""

    needs: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        ...


class RawRoute(Route):
    """A plain ASGI route for the hot path; `operation` is its OpenAPI operation, written by hand."""

    def __init__(self, path: str, app: Guarded, *, operation: dict[str, Any]) -> None:
        super().__init__(path, app, methods=["POST"], include_in_schema=False)
        self.needs = app.needs
        self.hot: Guarded = app
        self.operation = operation


class Resource:
    """The routes of one resource, below one prefix."""

    def __init__(self, prefix: str, tag: str) -> None:
        self.prefix = prefix
        self.tag = tag
        self._specs: list[dict[str, Any]] = []

    def get(self, path: str, **spec: Any) -> Callable[[Endpoint], Endpoint]:
        """A route that reads; see `_route`."""
        return self._route("GET", path, **spec)

    def post(self, path: str, **spec: Any) -> Callable[[Endpoint], Endpoint]:
        """A route that makes or does something."""
        return self._route("POST", path, **spec)

    def patch(self, path: str, **spec: Any) -> Callable[[Endpoint], Endpoint]:
        """A route that changes parts of something."""
        return self._route("PATCH", path, **spec)

    def put(self, path: str, **spec: Any) -> Callable[[Endpoint], Endpoint]:
        """A route that replaces something."""
        return self._route("PUT", path, **spec)

    def delete(self, path: str, **spec: Any) -> Callable[[Endpoint], Endpoint]:
        """A route that removes something."""
        return self._route("DELETE", path, **spec)

    def _route(
        self,
        method: str,
        path: str,
        *,
        needs: str,
        answers: type[BaseModel] | None,
        status: int = 200,
        errors: tuple[int, ...] = (),
        idempotent: bool = False,
        etag: bool = False,
        media: str | tuple[str, ...] = (),
        step_up: bool = False,
        in_team: bool = False,
        limit: str = DEFAULT,
        redirects: bool = False,
    ) -> Callable[[Endpoint], Endpoint]:
        """Declares a route: `needs` a permission (or PUBLIC, SELF, ANYBODY), `answers` its body (None: no body),
        `errors` further statuses beside those that every route has, `idempotent`: takes an Idempotency-Key,
        `etag`: answers with an ETag and heeds If-None-Match or If-Match, `media`: types of a body that is not JSON,
        `step_up`: a person must have proved again who they are (money, keys, roles), `in_team`: open to who holds the
        permission in one team, the service narrows by `who.teams_with(...)`, `limit`: how often one may ask, a class of
        contracts/rules/limits.py ("strict" where secrets are guessed), `redirects`: it may also answer 303."""
        if needs not in (PUBLIC, SELF, ANYBODY) and needs not in PERMISSIONS:
            raise ValueError(f"{method} {self.prefix}{path} names the unknown permission {needs!r}")
        if "*/*" in media:
            raise ValueError(f"{method} {self.prefix}{path} has to name its media types")
        if limit not in (*CLASSES, EXEMPT):
            raise ValueError(f"{method} {self.prefix}{path} names the unknown limit {limit!r}")

        def declare(endpoint: Endpoint) -> Endpoint:
            extra = {PERMISSION_FIELD: needs, "x-errors": list(errors), "x-idempotent": idempotent, "x-etag": etag}
            extra |= {"x-step-up": step_up, "x-in-team": in_team, "x-limit": limit}
            answer: dict[str, Any] = {"description": "Done"}
            if answers is not None:
                answer["model"] = answers
            if media:
                types = (media,) if isinstance(media, str) else media
                answer["content"] = {one: {"schema": {"type": "string"}} for one in types}
            self._specs.append(
                {
                    "path": self.prefix + path,
                    "endpoint": endpoint,
                    "methods": [method],
                    "status_code": status,
                    "responses": {status: answer} | (_ELSEWHERE if redirects or status == 303 else {}),
                    "response_model": None,
                    "response_class": JSONResponse if answers is not None else Response,
                    "tags": [self.tag],
                    "openapi_extra": extra,
                    "operation_id": f"{self.tag}_{endpoint.__name__}",
                }
            )
            return endpoint

        return declare

    def mount(self, app: FastAPI) -> None:
        """Adds the routes to the app."""
        for spec in self._specs:
            app.router.add_api_route(**spec, route_class_override=GuardedRoute)


def register(app: FastAPI) -> list[tuple[str, str, str | None]]:
    """(method, path, permission) of every route; permission None means: unguarded, which is a defect."""
    found = []
    for route in app.routes:
        permission = route.needs if isinstance(route, RawRoute) else _permission(route)
        methods = sorted(getattr(route, "methods", None) or {"*"})
        found += [(method, getattr(route, "path", "?"), permission) for method in methods if method != "HEAD"]
    return found


def _permission(route: Any) -> str | None:
    extra = getattr(route, "openapi_extra", None) or {}
    return extra.get(PERMISSION_FIELD) if isinstance(route, GuardedRoute) else None
