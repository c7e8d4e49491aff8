"""Authenticator apps: time-based one-time passwords (RFC 6238), 6 digits, 30 seconds, SHA-1 as every app has it."""

from datetime import datetime
from typing import Final

import pyotp
import segno

from api.core.principal import Principal
from api.core.visits import Visit
from api.deps import Deps
from api.factors import service
from api.factors.schemas import EnrolledOut, TotpOut
from contracts.errors import Conflict, Invalid, NotFound, Problem
from infra.postgres import factors as store
from infra.postgres import users
from infra.postgres.database import Tx
from infra.postgres.factors import TotpRow

ISSUER: Final = "Smart AI Hub"
WINDOW: Final = 1
"""Steps that a clock may be off, either way (RFC 6238, section 5.2)."""


async def begin(visit: Visit, who: Principal) -> TotpOut:
    """A fresh secret, in clear this once; nothing is demanded of it before `confirm`.

    Raises: Conflict when an app is set up already, StepUpRequired.
    """
    secret = pyotp.random_base32()
    async with visit.deps.database.unscoped() as tx:
        await service.lock_for_change(tx, visit, who)
        user = await users.find_user(tx, who.user_id)
        if not await store.begin_totp(
            tx, who.user_id, visit.deps.sealer.seal(secret.encode(), _purpose(who.user_id)), visit.now
        ):
            raise Conflict("An authenticator app is set up already; remove it first.")
    name = (user and user.email) or who.user_id
    uri = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)
    return TotpOut(secret=secret, uri=uri, qr_svg=segno.make(uri, error="m").svg_data_uri(scale=4))


async def confirm(visit: Visit, who: Principal, code: str) -> EnrolledOut:
    """The app is set up: log-ins demand it from now on. Raises: Invalid, Conflict, StepUpRequired."""
    async with visit.deps.database.unscoped() as tx:
        before = await service.lock_for_change(tx, visit, who)
        row = await store.find_totp(tx, who.user_id)
        if row is None or row.confirmed_at is not None:
            raise Conflict("No authenticator app waits for its first code; begin with POST /v1/auth/mfa/totp.")
        step = _step(visit.deps, row, code, visit.now)
        if step is None or not await store.confirm_totp(tx, row, step, visit.now):
            problem = Problem("/code", "wrong_code", "is not what the app shows now")
            raise Invalid(
                "The code is wrong: check the clock of the device, and send the next one.", problems=(problem,)
            )
        codes = await service.enrolled(tx, visit, who, "totp", before)
    return EnrolledOut(factor="totp", recovery_codes=codes)


async def remove(visit: Visit, who: Principal) -> None:
    """No app any more. Raises: NotFound, StepUpRequired."""
    async with visit.deps.database.unscoped() as tx:
        await service.lock_for_change(tx, visit, who)
        if not await store.delete_totp(tx, who.user_id):
            raise NotFound("No authenticator app is set up.")
        await service.removed(tx, visit, who, "totp")


async def use(tx: Tx, deps: Deps, user_id: str, code: str, now: datetime) -> str | None:
    """None when the code is good: neither it nor an earlier one is from now on. Else why not."""
    row = await store.find_totp(tx, user_id)
    step = None if row is None or row.confirmed_at is None else _step(deps, row, code, now)
    if row is None or step is None:
        return "wrong"
    return None if await store.use_totp_step(tx, row, step) else "replayed"


def _step(deps: Deps, row: TotpRow, code: str, now: datetime) -> int | None:
    """The time step whose code this is, at most one away from now."""
    secret = deps.sealer.open(row.sealed, _purpose(row.user_id)).decode()
    try:
        return pyotp.TOTP(secret).verify_and_get_timecode(code, for_time=now, valid_window=WINDOW)
    except pyotp.exceptions.OTPVerificationError:
        return None


def _purpose(user_id: str) -> str:
    return f"totp_secrets/{user_id}"
