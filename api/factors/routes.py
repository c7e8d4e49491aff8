"""`/v1/auth/mfa`: a person's second factors; `/v1/auth/login/...` and `/v1/auth/step-up`: what they are asked for."""

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import Path
from starlette.requests import Request
from starlette.responses import Response

from api.core.envelope import Answer, Listing, reply
from api.core.login_schemas import TokenPair
from api.core.paging import Pagination
from api.core.people import People
from api.core.principal import Principal
from api.core.resource import Resource, Who
from api.core.visits import VisitIn
from api.factors import assertions, devices, overview, passkeys, second_step, step_up, totp
from api.factors.schemas import (
    ChallengeIn,
    ElevatedOut,
    EnrolledOut,
    FactorsOut,
    PasskeyAsked,
    PasskeyCreated,
    PasskeyIn,
    PasskeyLogIn,
    PasskeyName,
    PasskeyOut,
    RecoveryCodesOut,
    SecondStepIn,
    StepUpIn,
    TotpConfirm,
    TotpOut,
    TrustedDeviceOut,
)
from contracts.rules.access import PUBLIC, SELF
from contracts.rules.limits import STRICT

routes: Final = Resource("/v1/auth", "factors")

PasskeyId = Annotated[str, Path(pattern="^[!-~]{1,64}$")]


@routes.get("/mfa", needs=SELF, answers=Answer[FactorsOut])
async def read_factors(request: Request, who: Who, visit: VisitIn) -> Response:
    """Which second factors you have set up."""
    return reply(request, await overview.read(visit, who))


@routes.post("/mfa/totp", needs=SELF, answers=Answer[TotpOut], status=201, errors=(409,))
async def begin_totp(request: Request, who: Who, visit: VisitIn) -> Response:
    """Get the secret for an authenticator app, also as a QR code; then confirm its first code."""
    return reply(request, await totp.begin(visit, who), status=201)


@routes.post("/mfa/totp/confirm", needs=SELF, answers=Answer[EnrolledOut], errors=(409,))
async def confirm_totp(request: Request, who: Who, visit: VisitIn, wanted: TotpConfirm) -> Response:
    """Confirm the app's first code: log-ins demand it from now on. The first factor brings recovery codes."""
    done = await totp.confirm(visit, who, wanted.code)
    _forget(request, who)
    return reply(request, done)


@routes.delete("/mfa/totp", needs=SELF, answers=None, status=204, errors=(404,), step_up=True)
async def remove_totp(request: Request, who: Who, visit: VisitIn) -> Response:
    """Remove the authenticator app."""
    await totp.remove(visit, who)
    _forget(request, who)
    return Response(status_code=204)


@routes.post(
    "/mfa/recovery-codes", needs=SELF, answers=Answer[RecoveryCodesOut], status=201, errors=(409,), step_up=True
)
async def new_recovery_codes(request: Request, who: Who, visit: VisitIn) -> Response:
    """Make ten fresh recovery codes; those before are void."""
    return reply(request, await overview.new_codes(visit, who), status=201)


@routes.post("/mfa/passkeys/options", needs=SELF, answers=Answer[PasskeyAsked], errors=(409,))
async def begin_passkey(request: Request, who: Who, visit: VisitIn) -> Response:
    """Get what the browser needs to make a passkey."""
    return reply(request, await passkeys.begin(visit, who))


@routes.post("/mfa/passkeys", needs=SELF, answers=Answer[PasskeyCreated], status=201, errors=(409,))
async def create_passkey(request: Request, who: Who, visit: VisitIn, wanted: PasskeyIn) -> Response:
    """Keep the passkey that the browser has made. The first factor brings recovery codes."""
    done = await passkeys.create(visit, who, wanted)
    _forget(request, who)
    return reply(request, done, status=201)


@routes.get("/mfa/passkeys", needs=SELF, answers=Listing[PasskeyOut])
async def list_passkeys(request: Request, who: Who, visit: VisitIn) -> Response:
    """Your passkeys, the oldest first."""
    found = await passkeys.listed(visit, who)
    return reply(request, found, pagination=_all_of(found))


@routes.patch("/mfa/passkeys/{passkey_id}", needs=SELF, answers=Answer[PasskeyOut], errors=(404,))
async def rename_passkey(
    request: Request, who: Who, visit: VisitIn, passkey_id: PasskeyId, wanted: PasskeyName
) -> Response:
    """Give a passkey another name."""
    return reply(request, await passkeys.rename(visit, who, passkey_id, wanted.name))


@routes.delete("/mfa/passkeys/{passkey_id}", needs=SELF, answers=None, status=204, errors=(404, 409), step_up=True)
async def delete_passkey(request: Request, who: Who, visit: VisitIn, passkey_id: PasskeyId) -> Response:
    """Delete a passkey."""
    await passkeys.remove(visit, who, passkey_id)
    _forget(request, who)
    return Response(status_code=204)


@routes.get("/mfa/devices", needs=SELF, answers=Listing[TrustedDeviceOut])
async def list_trusted_devices(request: Request, who: Who, visit: VisitIn) -> Response:
    """The devices that need no second factor, the last used first."""
    found = await devices.listed(visit, who)
    return reply(request, found, pagination=_all_of(found))


@routes.delete("/mfa/devices", needs=SELF, answers=None, status=204)
async def distrust_devices(request: Request, who: Who, visit: VisitIn) -> Response:
    """Every device needs the second factor again."""
    await devices.distrust_all(visit, who)
    return Response(status_code=204)


@routes.delete("/mfa/devices/{device_id}", needs=SELF, answers=None, status=204, errors=(404,))
async def distrust_device(request: Request, who: Who, visit: VisitIn, device_id: str) -> Response:
    """A device needs the second factor again."""
    await devices.distrust(visit, who, device_id)
    return Response(status_code=204)


@routes.post("/login/second-factor", needs=PUBLIC, answers=Answer[TokenPair], errors=(401, 403, 503), limit=STRICT)
async def second_factor(request: Request, visit: VisitIn, wanted: SecondStepIn) -> Response:
    """Finish a log-in that asked for a second factor."""
    return reply(request, await second_step.finish(visit, wanted))


@routes.post("/login/second-factor/options", needs=PUBLIC, answers=Answer[PasskeyAsked], errors=(401, 503))
async def second_factor_options(request: Request, visit: VisitIn, wanted: ChallengeIn) -> Response:
    """Get what the browser needs to use a passkey as the second factor."""
    return reply(request, await second_step.passkey_options(visit, wanted.challenge))


@routes.post("/login/passkey/options", needs=PUBLIC, answers=Answer[PasskeyAsked], errors=(503,))
async def begin_passkey_login(request: Request, visit: VisitIn) -> Response:
    """Get what the browser needs to log in by passkey alone."""
    return reply(request, await assertions.begin_log_in(visit))


@routes.post("/login/passkey", needs=PUBLIC, answers=Answer[TokenPair], errors=(401, 403, 503), limit=STRICT)
async def passkey_login(request: Request, visit: VisitIn, wanted: PasskeyLogIn) -> Response:
    """Log in by passkey alone: it is two factors in one."""
    return reply(request, await assertions.log_in(visit, wanted.challenge, wanted.passkey))


@routes.post("/step-up/options", needs=SELF, answers=Answer[PasskeyAsked])
async def step_up_options(request: Request, who: Who, visit: VisitIn) -> Response:
    """Get what the browser needs to use a passkey for a step-up."""
    return reply(request, await step_up.passkey_options(visit, who))


@routes.post("/step-up", needs=SELF, answers=Answer[ElevatedOut], errors=(429,), limit=STRICT)
async def step_up_session(request: Request, who: Who, visit: VisitIn, wanted: StepUpIn) -> Response:
    """Prove again who you are: for five minutes the session may touch money, keys and roles."""
    done = await step_up.step_up(visit, who, wanted)
    _forget(request, who)
    return reply(request, done)


def _all_of(found: Sequence[object]) -> Pagination:
    return Pagination(limit=len(found), has_more=False, next_cursor=None)


def _forget(request: Request, who: Principal) -> None:
    """What is remembered of the session: its next request sees the change."""
    people: People = request.app.state.people
    if who.login is not None:
        people.forget_session(who.login.id)
