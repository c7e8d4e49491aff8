"""Step-up (RFC 9470): a person who is logged in proves again who they are, for money, keys and roles."""

from typing import Final

from api.core import throttle
from api.core.logins import ELEVATED_FOR
from api.core.person_facts import say
from api.core.principal import Principal
from api.core.visits import Visit
from api.factors import webauthn
from api.factors.asking import ask, asked, party, signed
from api.factors.outcomes import Outcome, say_failed, subject_of
from api.factors.proofs import prove
from api.factors.schemas import ElevatedOut, PasskeyAsked, StepUpIn
from contracts.errors import Invalid, Problem, Unauthenticated
from contracts.events.auth import LoginFailedV1, SessionElevatedV1
from contracts.rules.passwords import normalised
from infra.postgres import factors, sessions, users
from infra.postgres import passkeys as store
from infra.postgres.database import Tx

STEP_UP: Final = "step_up"
"""The purpose of a challenge for a passkey."""


async def passkey_options(visit: Visit, who: Principal) -> PasskeyAsked:
    """What the browser needs to use one of the person's passkeys for a step-up."""
    async with visit.deps.database.unscoped() as tx:
        known = await store.passkeys_of(tx, who.user_id)
        secret = await ask(tx, visit.deps, STEP_UP, who.user_id, visit.now)
    options = webauthn.request_options(party(visit.deps), signed(visit.deps, secret), known)
    return PasskeyAsked(challenge=secret, options=options)


async def step_up(visit: Visit, who: Principal, wanted: StepUpIn) -> ElevatedOut:
    """Until when the session may touch money, keys and roles.

    Raises: Invalid (a password where there is a factor), Unauthenticated (wrong), RateLimited.
    """
    if wanted.password is None:
        return await _by_factor(visit, who, wanted)
    return await _by_password(visit, who, wanted.password)


async def _by_factor(visit: Visit, who: Principal, wanted: StepUpIn) -> ElevatedOut:
    secret = wanted.challenge or ""
    async with visit.deps.database.unscoped() as tx:
        subject = await subject_of(tx, visit, who.user_id)
        await throttle.look(tx, (subject,), visit.now)
        refused = await _refused(tx, visit, who, wanted, secret, subject)
    if refused:
        raise Unauthenticated("The second factor is wrong or was used before; try again.")
    return ElevatedOut(elevated_until=visit.now + ELEVATED_FOR)


async def _refused(tx: Tx, visit: Visit, who: Principal, wanted: StepUpIn, secret: str, subject: str) -> bool:
    if wanted.passkey is not None:
        challenge = await asked(tx, visit.deps, STEP_UP, secret, visit.now)
        if challenge is None or challenge.user_id != who.user_id:
            unknown = Outcome("passkey", "hwk", "unknown challenge")
            await say_failed(tx, visit, who.organization_id, who.user_id, unknown, subject)
            return True
    outcome = await prove(tx, visit, who.user_id, wanted, signed(visit.deps, secret))
    if outcome.refused is not None:
        await say_failed(tx, visit, who.organization_id, who.user_id, outcome, subject)
        return True
    await _elevate(tx, visit, who, outcome.method, subject)
    return False


async def _by_password(visit: Visit, who: Principal, password: str) -> ElevatedOut:
    """The hash takes a third of a second: no transaction is open meanwhile."""
    async with visit.deps.database.unscoped() as tx:
        if (await factors.factors_of(tx, who.user_id)).any:
            problem = Problem("/password", "factor_needed", "is not enough: you have a second factor")
            raise Invalid("Prove your second factor: totp, recovery_code or passkey.", problems=(problem,))
        user = await users.find_user(tx, who.user_id)
        subject = await subject_of(tx, visit, who.user_id)
        await throttle.look(tx, (subject,), visit.now)
    fits, _ = await visit.passwords.verify(normalised(password), user.password_hash if user else None)
    async with visit.deps.database.unscoped() as tx:
        if fits:
            await _elevate(tx, visit, who, "pwd", subject)
        else:
            await throttle.failed(tx, (subject,), visit.now)
            fact = LoginFailedV1(user_id=who.user_id, reason="wrong password at step-up", actor=who.user_id)
            await say(tx, visit, who.organization_id, who.user_id, fact)
    if not fits:
        raise Unauthenticated("The password is wrong; try again.")
    return ElevatedOut(elevated_until=visit.now + ELEVATED_FOR)


async def _elevate(tx: Tx, visit: Visit, who: Principal, method: str, subject: str) -> None:
    session_id = who.login.id if who.login else ""
    if not await sessions.elevate(tx, session_id, method, visit.now + ELEVATED_FOR):
        raise Unauthenticated("The session has ended; log in again.")
    await throttle.succeeded(tx, (subject,), visit.now, forget=(subject,))
    fact = SessionElevatedV1(user_id=who.user_id, session_id=session_id, method=method, actor=who.user_id)
    await say(tx, visit, who.organization_id, who.user_id, fact)
