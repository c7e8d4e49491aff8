"""Passkeys in use: as a second factor, as a step-up, and as the only thing that a log-in needs."""

from typing import Final

from webauthn.helpers import base64url_to_bytes

from api.core.login_schemas import TokenPair
from api.core.logins import home_of, start_session, token_pair
from api.core.visits import Visit
from api.factors import webauthn
from api.factors.asking import ask, asked, party, signed
from api.factors.browser import Assertion
from api.factors.outcomes import Outcome, say_failed
from api.factors.schemas import PasskeyAsked
from contracts.errors import Unauthenticated
from infra.postgres import passkeys as store
from infra.postgres import users
from infra.postgres.database import Tx
from infra.postgres.passkeys import PasskeyRow

LOG_IN: Final = "passkey_login"
"""The purpose of a challenge that logs somebody in."""
COUNTER: Final = "the signature counter did not go up"


async def use(tx: Tx, visit: Visit, row: PasskeyRow | None, assertion: Assertion, challenge: bytes) -> Outcome:
    """Whether the passkey has signed the challenge, and its counter went up: it is a copy otherwise."""
    if row is None or not _meant_for(row, assertion):
        return Outcome("passkey", "hwk", "wrong")
    found = webauthn.asserted(party(visit.deps), assertion.plain(), challenge, row)
    if found is None:
        return Outcome("passkey", "hwk", "wrong")
    went_up = await store.use_passkey(tx, row.credential_id, found.sign_count, found.backed_up, visit.now)
    return Outcome("passkey", found.method, None if went_up else COUNTER)


async def find(tx: Tx, assertion: Assertion) -> PasskeyRow | None:
    """The passkey that was used."""
    try:
        return await store.find_passkey(tx, base64url_to_bytes(assertion.raw_id))
    except ValueError:
        return None


async def begin_log_in(visit: Visit) -> PasskeyAsked:
    """What the browser needs to offer the passkeys that it has for this hub; says nothing of whom it knows."""
    async with visit.deps.database.unscoped() as tx:
        secret = await ask(tx, visit.deps, LOG_IN, None, visit.now)
    return PasskeyAsked(
        challenge=secret, options=webauthn.request_options(party(visit.deps), signed(visit.deps, secret))
    )


async def log_in(visit: Visit, secret: str, assertion: Assertion) -> TokenPair:
    """A session: a passkey is two factors, its device and what opens it. Raises: Unauthenticated."""
    started = None
    async with visit.deps.database.unscoped() as tx:
        challenge = await asked(tx, visit.deps, LOG_IN, secret, visit.now)
        row = await find(tx, assertion)
        user = row and await users.find_user(tx, row.user_id)
        if challenge is not None and row is not None and user is not None and user.status == "active":
            outcome = await use(tx, visit, row, assertion, signed(visit.deps, secret))
            home = await home_of(tx, user)
            if outcome.refused is None:
                methods = (outcome.method, "mfa")
                started = await start_session(tx, visit, user, home, methods=methods, via="passkey")
            else:
                await say_failed(tx, visit, home.organization_id, user.id, outcome)
    if started is None:
        raise Unauthenticated("The passkey is refused: it is unknown here, or the request is too old. Try again.")
    return await token_pair(visit, started)


def _meant_for(row: PasskeyRow, assertion: Assertion) -> bool:
    """WebAuthn, section 7.2, step 6: a user handle names the passkey's owner."""
    handle = assertion.response.user_handle
    try:
        return handle is None or base64url_to_bytes(handle) == row.user_id.encode()
    except ValueError:
        return False
