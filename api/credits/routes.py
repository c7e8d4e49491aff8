"""`/v1/credits`."""

import hashlib
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.core.envelope import Answer, Listing, reply
from api.core.idempotency import key_of, once
from api.core.paging import PageIn
from api.core.principal import Principal
from api.core.request_ids import context_of
from api.core.resource import DepsIn, Resource, Who
from api.credits import service
from api.credits.schemas import Balance, GrantIn, ReceiptOut, TransactionOut

routes: Final = Resource("/v1/credits", "credits")


@routes.post("/grants", needs="credits:grant", answers=Answer[ReceiptOut], status=202, errors=(409,), idempotent=True)
async def grant(request: Request, who: Who, deps: DepsIn, wanted: GrantIn) -> Response:
    """Grant credits: publishes the fact; the ledger books it, once per Idempotency-Key."""
    event_id = await _event_id(request, who)

    async def act() -> Response:
        keyring, request_id = request.app.state.keyring, context_of(request).request_id
        receipt = await service.grant(deps, keyring, who, wanted, request_id, event_id)
        return reply(request, receipt, status=202)

    return await once(request, who, act, best_effort=True)


async def _event_id(request: Request, who: Principal) -> str | None:
    """The same for a principal's same request with the same key, so that the effect is once even without a memory."""
    key = key_of(request)
    if key is None:
        return None
    body = await request.body()
    whose = f"{who.organization_id}\0{who.id}\0{key}\0".encode()
    return "evt_" + hashlib.blake2b(whose + body, digest_size=16).hexdigest()


@routes.get("/balance", needs="credits:read", answers=Answer[Balance])
async def balance(request: Request, who: Who, deps: DepsIn) -> Response:
    """What the organization may spend, what is held, what it owes, lot by lot."""
    found, through = await service.balance(deps, who.organization_id)
    return reply(request, found, complete_through=through)


@routes.get("/transactions", needs="credits:read", answers=Listing[TransactionOut])
async def transactions(request: Request, who: Who, deps: DepsIn, page: PageIn) -> Response:
    """The statement, the newest transaction first."""
    rows, pagination, through = await service.transactions(deps, who.organization_id, page)
    return reply(request, rows, pagination=pagination, complete_through=through)
