"""`/v1/auth/mfa`: a person's second factors."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.core.envelope import Answer, reply
from api.core.people import People
from api.core.principal import Principal
from api.core.request_ids import context_of
from api.core.resource import DepsIn, Resource, Who
from api.factors import overview, totp
from api.factors.schemas import EnrolledOut, FactorsOut, RecoveryCodesOut, TotpConfirm, TotpOut
from contracts.rules.access import SELF

routes: Final = Resource("/v1/auth/mfa", "factors")


@routes.get("", needs=SELF, answers=Answer[FactorsOut])
async def read_factors(request: Request, who: Who, deps: DepsIn) -> Response:
    """Which second factors you have set up, and whether the organization requires one."""
    return reply(request, await overview.read(deps, who))


@routes.post("/totp", needs=SELF, answers=Answer[TotpOut], status=201, errors=(409,))
async def begin_totp(request: Request, who: Who, deps: DepsIn) -> Response:
    """Get the secret for an authenticator app, also as a QR code; then confirm its first code."""
    return reply(request, await totp.begin(deps, who), status=201)


@routes.post("/totp/confirm", needs=SELF, answers=Answer[EnrolledOut], errors=(409,))
async def confirm_totp(request: Request, who: Who, deps: DepsIn, wanted: TotpConfirm) -> Response:
    """Confirm the app's first code: log-ins demand it from now on. The first factor brings recovery codes."""
    done = await totp.confirm(deps, context_of(request), who, wanted.code)
    _forget(request, who)
    return reply(request, done)


@routes.delete("/totp", needs=SELF, answers=None, status=204, errors=(404,), step_up=True)
async def remove_totp(request: Request, who: Who, deps: DepsIn) -> Response:
    """Remove the authenticator app."""
    await totp.remove(deps, context_of(request), who)
    _forget(request, who)
    return Response(status_code=204)


@routes.post("/recovery-codes", needs=SELF, answers=Answer[RecoveryCodesOut], status=201, errors=(409,), step_up=True)
async def new_recovery_codes(request: Request, who: Who, deps: DepsIn) -> Response:
    """Make ten fresh recovery codes; those before are void."""
    return reply(request, await overview.new_codes(deps, context_of(request), who), status=201)


def _forget(request: Request, who: Principal) -> None:
    """What is remembered of the session: its next request sees the change."""
    people: People = request.app.state.people
    if who.login is not None:
        people.forget_session(who.login.id)
