"""The second step of a log-in: five tries within five minutes, and a device that may be remembered."""

from datetime import timedelta
from typing import Final

from api.core import throttle
from api.core.login_schemas import TokenPair
from api.core.logins import SECOND_STEP, Started, home_of, start_session, token_pair
from api.core.visits import Visit
from api.factors import webauthn
from api.factors.asking import party, signed
from api.factors.outcomes import say_failed, subject_of
from api.factors.proofs import prove
from api.factors.schemas import PasskeyAsked, SecondStepIn
from contracts.errors import Unauthenticated
from infra.postgres import challenges, users
from infra.postgres import passkeys as store
from infra.postgres.challenges import ChallengeRow
from infra.postgres.database import Tx

REMEMBERED_FOR: Final = timedelta(days=30)


async def finish(visit: Visit, wanted: SecondStepIn) -> TokenPair:
    """The session that the first step asked for.

    Raises: Unauthenticated (a wrong proof, or a challenge that is unknown, used, expired or has no try left),
    RateLimited.
    """
    async with visit.deps.database.unscoped() as tx:
        found = await challenges.find_by_hash(tx, SECOND_STEP, visit.hash(SECOND_STEP, wanted.challenge), visit.now)
        row = found and await challenges.take_try(tx, SECOND_STEP, found.id, visit.now)
        if row is None or row.user_id is None:
            raise Unauthenticated("The log-in is too old, finished, or had too many wrong tries; log in again.")
        started = await _prove(tx, visit, row, wanted, row.user_id)
    if started is None:
        raise Unauthenticated(f"The second factor is wrong or was used before; {row.tries_left} tries are left.")
    return await token_pair(visit, started)


async def _prove(tx: Tx, visit: Visit, row: ChallengeRow, wanted: SecondStepIn, user_id: str) -> Started | None:
    subject = await subject_of(tx, visit, user_id)
    await throttle.look(tx, (subject,), visit.now)
    user = await users.find_user(tx, user_id)
    if user is None or user.status != "active":
        return None
    home = await home_of(tx, user)
    outcome = await prove(tx, visit, user.id, wanted, signed(visit.deps, wanted.challenge))
    if outcome.refused is not None or await challenges.consume(tx, SECOND_STEP, row.id, visit.now) is None:
        await say_failed(tx, visit, home.organization_id, user.id, outcome, subject)
        return None
    await throttle.succeeded(tx, (subject,), visit.now, forget=(subject,))
    until = visit.now + REMEMBERED_FOR if wanted.remember_device else None
    methods = (*row.data["methods"], outcome.method)
    return await start_session(tx, visit, user, home, methods=methods, via=row.data["via"], trusted_until=until)


async def passkey_options(visit: Visit, challenge: str) -> PasskeyAsked:
    """What the browser needs to use one of the person's passkeys for this challenge. Raises: Unauthenticated."""
    async with visit.deps.database.unscoped() as tx:
        row = await challenges.find_by_hash(tx, SECOND_STEP, visit.hash(SECOND_STEP, challenge), visit.now)
        if row is None or row.user_id is None:
            raise Unauthenticated("The log-in is too old or finished; log in again.")
        known = await store.passkeys_of(tx, row.user_id)
    options = webauthn.request_options(party(visit.deps), signed(visit.deps, challenge), known)
    return PasskeyAsked(challenge=challenge, options=options)
