"""`Idempotency-Key`: the first answer is replayed for 24 hours, another body is refused.

Answers are kept sealed: some hold a secret that is stored nowhere else.
Follows draft-ietf-httpapi-idempotency-key-header: 409 for another body and while the first is still under way.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.core.deadlines import brief_transaction
from api.core.envelope import JsonBytes
from api.core.errors import render
from api.core.principal import Principal
from api.core.request_ids import context_of
from api.deps import Deps
from contracts.errors import Conflict, DatabaseUnavailable, IdempotencyConflict, InputError, Invalid, Problem
from infra.postgres import idempotency as store

KEPT_FOR: Final = timedelta(hours=24)
ABANDONED_AFTER: Final = timedelta(seconds=60)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")

Act = Callable[[], Awaitable[Response]]


def key_of(request: Request) -> str | None:
    """The request's Idempotency-Key. Raises: Invalid when it is not 1 to 255 visible ASCII characters."""
    raw = context_of(request).headers.get(b"idempotency-key")
    if raw is None:
        return None
    key = raw.decode("latin-1")
    if not _KEY.fullmatch(key):
        problem = Problem("/header/Idempotency-Key", "idempotency_key", "must be 1 to 255 visible ASCII characters")
        raise Invalid("The Idempotency-Key must be 1 to 255 visible ASCII characters.", problems=(problem,))
    return key


async def once(
    request: Request, who: Principal, act: Act, *, body: bytes | None = None, best_effort: bool = False
) -> Response:
    """The answer of `act`, or the first answer to the same request of the same principal with this key.

    `best_effort`: the effect is once anyway, so with the database away `act` goes on without a memory.
    Raises: IdempotencyConflict (other body), Conflict (the first is still under way), DatabaseUnavailable.
    """
    key = key_of(request)
    if key is None:
        return await act()
    key = f"{who.id} {key}"  # an answer is for its principal alone; no key has a space
    deps: Deps = request.app.state.deps
    now = deps.clock.now()
    digest = _digest(request, await request.body() if body is None else body)
    try:
        first = await _claim(deps, who.organization_id, key, digest, now)
    except DatabaseUnavailable:
        if best_effort:
            return await act()
        raise
    if first is not None:
        return _replay(deps, first, digest, _purpose(who.organization_id, key))
    return await _answer_and_keep(request, deps, who.organization_id, key, now, act)


def _digest(request: Request, body: bytes) -> bytes:
    content_type = context_of(request).headers.get(b"content-type", b"")
    parts = (request.method.encode(), request.url.path.encode(), request.url.query.encode(), content_type, body)
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).digest()


async def _claim(deps: Deps, organization: str, key: str, digest: bytes, now: datetime) -> store.FirstAnswer | None:
    """None when the key is ours, else what the first request got."""
    async with brief_transaction(deps.database, deps.options.database_deadline_s) as tx:
        bounds = {"expired": now - KEPT_FOR, "abandoned": now - ABANDONED_AFTER}
        if await store.claim(tx, organization, key, digest, now, **bounds):
            return None
        return await store.first_answer(tx, organization, key)


def _purpose(organization: str, key: str) -> str:
    """What an answer is sealed for."""
    return f"idempotency_keys.body {organization} {key}"


def _replay(deps: Deps, first: store.FirstAnswer, digest: bytes, purpose: str) -> Response:
    if first.request_hash != digest:
        raise IdempotencyConflict("This Idempotency-Key was used for another request; take a new key.")
    if first.status is None or first.body is None:
        raise Conflict("The first request with this Idempotency-Key is still under way.", retry_after_s=1)
    headers = {"Idempotency-Replayed": "true"}
    return JsonBytes(deps.sealer.open(first.body, purpose), first.status, headers, first.content_type)


async def _answer_and_keep(
    request: Request, deps: Deps, organization: str, key: str, now: datetime, act: Act
) -> Response:
    try:
        response = await act()
    except InputError as error:
        response = render(request, error)
    except BaseException:
        await _forget(deps, organization, key, now)
        raise
    try:
        async with brief_transaction(deps.database, deps.options.database_deadline_s) as tx:
            body = deps.sealer.seal(bytes(response.body), _purpose(organization, key))
            answer = store.Answer(response.status_code, response.headers["content-type"], body)
            await store.finish(tx, organization, key, now, answer)
    except DatabaseUnavailable:
        return response  # the effect stands; a retry finds the key abandoned after a minute
    return response


async def _forget(deps: Deps, organization: str, key: str, now: datetime) -> None:
    try:
        async with brief_transaction(deps.database, deps.options.database_deadline_s) as tx:
            await store.release(tx, organization, key, now)
    except DatabaseUnavailable:
        return
