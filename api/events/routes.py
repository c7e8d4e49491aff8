"""`/v1/events` and `/v1/usage`. The two posts are plain ASGI (the hot path), declared in OpenAPI by hand."""

from collections.abc import Callable
from typing import Annotated, Final

import orjson
from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.core.admission import Gate, Needs
from api.core.bodies import read_body
from api.core.envelope import Answer, JsonBytes, reply
from api.core.idempotency import key_of, once
from api.core.keyring import Keyring
from api.core.principal import Principal
from api.core.request_ids import KEY, Context
from api.core.resource import DepsIn, RawRoute, Resource, Who
from api.deps import Deps
from api.events.formats import Sent, read_events, read_usage
from api.events.ingress import results, seed_of, take
from api.events.journey import journey
from api.events.openapi import EVENTS_OPERATION, USAGE_OPERATION
from api.events.schemas import Journey
from contracts.errors import Invalid, Problem
from contracts.rules.limits import INGEST
from contracts.types import rfc3339

Read = Callable[[dict[bytes, bytes], bytes, int], Sent]

NEEDS: Final = "events:write"
_NEEDS: Final = Needs(NEEDS, limit=INGEST)
_JSON: Final = (b"content-type", b"application/json")

EventId = Annotated[str, Path(max_length=255, examples=["evt_0199"])]
Source = Annotated[str | None, Query(max_length=255, description="`source` of the event; when several sent this id")]


class Ingress:
    """ASGI application of one of the two posts: `read` understands its body."""

    def __init__(self, path: str, read: Read) -> None:
        self.needs = NEEDS
        self._path = path
        self._read = read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 202 once the broker has what was accepted."""
        context: Context = scope[KEY]
        context.route = self._path
        state = scope["app"].state
        gate: Gate = state.gate
        who = await gate.admit(context, _NEEDS)
        assert who is not None  # the route is not public
        atomic = _atomic(scope["query_string"])
        raw = await read_body(receive)
        if b"idempotency-key" in context.headers:
            response = await self._take_once(Request(scope, receive), who, raw, atomic)
            await response(scope, receive, send)
            return
        body = await self._take(state.deps, state.keyring, who, context, raw, atomic, None)
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": 202, "headers": [length, _JSON]})
        await send({"type": "http.response.body", "body": body})

    async def _take_once(self, request: Request, who: Principal, raw: bytes, atomic: bool) -> Response:
        state = request.app.state
        context: Context = request.scope[KEY]
        seed = seed_of(who, key_of(request) or "", raw)

        async def act() -> Response:
            return JsonBytes(await self._take(state.deps, state.keyring, who, context, raw, atomic, seed), 202)

        return await once(request, who, act, body=raw, best_effort=True)

    async def _take(
        self,
        deps: Deps,
        keyring: Keyring,
        who: Principal,
        context: Context,
        raw: bytes,
        atomic: bool,
        seed: bytes | None,
    ) -> bytes:
        sent = self._read(context.headers, raw, deps.options.batch_limit)
        result = await take(deps, keyring, who, sent, context, atomic=atomic, seed=seed)
        meta = {"timestamp": rfc3339(deps.clock.now()), "request_id": context.request_id}
        return orjson.dumps({"data": results(result), "meta": meta})


def _atomic(query: bytes) -> bool:
    """The one query parameter. Raises: Invalid for anything that is not understood."""
    if not query:
        return False
    if query in (b"atomic=true", b"atomic=1"):
        return True
    if query in (b"atomic=false", b"atomic=0"):
        return False
    problem = Problem("/query", "query", "takes atomic=true or atomic=false and nothing else")
    raise Invalid("The query takes atomic=true or atomic=false and nothing else.", problems=(problem,))


routes: Final = Resource("/v1/events", "events")


@routes.get("/{event_id:path}", needs="events:read", answers=Answer[Journey], errors=(404, 409))
async def read_event(request: Request, who: Who, deps: DepsIn, event_id: EventId, source: Source = None) -> Response:
    """An event's journey: accepted, priced, charged, analysed, delivered; also why it was refused."""
    return reply(request, await journey(deps, who.organization_id, event_id, source))


def hot_routes() -> list[RawRoute]:
    """The two posts, to be placed first in the routing table."""
    return [
        RawRoute("/v1/events", Ingress("/v1/events", read_events), operation=EVENTS_OPERATION),
        RawRoute("/v1/usage", Ingress("/v1/usage", read_usage), operation=USAGE_OPERATION),
    ]
