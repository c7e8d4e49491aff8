"""Passwords: forgotten, set anew, changed. Whoever knew the old one is out."""

from datetime import timedelta
from typing import Final

from api.auth import codes
from api.auth.ending import end_others, tell_about
from api.auth.registration import prove_email
from api.core import throttle
from api.core.deadlines import ANSWERS_AFTER_S, no_sooner_than
from api.core.letters import Letter, write
from api.core.principal import Principal
from api.core.secrets import accept_password
from api.core.visits import Visit
from contracts.errors import Invalid, Problem, Unauthenticated
from contracts.events.auth import UserUpdatedV1
from contracts.rules.passwords import normalised
from infra.crypto import new_secret
from infra.ids import new_id
from infra.postgres import challenges, devices, factors, users
from infra.postgres.challenges import ChallengeRow
from infra.postgres.database import Tx
from infra.postgres.users import UserRow

RESET: Final = "password_reset"
LIFE: Final = timedelta(hours=1)


async def forgot(visit: Visit, email: str) -> None:
    """A mail with a token, if there is such an account: the answer does not say. Raises: DatabaseUnavailable."""
    async with no_sooner_than(ANSWERS_AFTER_S), visit.deps.database.unscoped() as tx:
        user = await users.find_by_email(tx, email)
        if user is None or user.status != "active":
            return
        await users.lock_user(tx, user.id)
        if await challenges.made_since(tx, RESET, user.id, visit.now - codes.SENDS_WITHIN) >= codes.SENDS:
            return
        token = new_secret()
        digest = visit.hash(RESET, token)
        row = ChallengeRow(new_id("chl"), RESET, user.id, digest, {}, 1, visit.now, visit.now + LIFE)
        await challenges.create(tx, row)
        await write(tx, visit, Letter.RESET, to=email, locale=user.locale, token=token)


async def reset(visit: Visit, token: str, password: str) -> None:
    """The person has this password from now on; all their sessions have ended. Raises: Invalid."""
    digest = visit.hash(RESET, token)
    async with visit.deps.database.unscoped() as tx:
        row = await challenges.find_by_hash(tx, RESET, digest, visit.now)
        user = await users.find_user(tx, row.user_id) if row and row.user_id else None
        if user is None:
            raise _refused()
        alone = not await factors.methods_of(tx, user.id)
    plain = accept_password(visit, password, known=_known(user), alone=alone)
    stored = await visit.passwords.hash(plain)
    async with visit.deps.database.unscoped() as tx:
        if await challenges.consume_by_hash(tx, RESET, digest, visit.now) is None:
            raise _refused()
        await users.lock_user(tx, user.id)
        before = await users.find_user(tx, user.id)
        if before is None or before.email is None:
            raise _refused()
        await prove_email(tx, visit, before, {"password_hash": stored, "password_changed_at": visit.now})
        await _changed(tx, visit, before, None)
        await throttle.forget(tx, [throttle.account_of(visit, before.email), throttle.person_of(user.id)])
        await devices.distrust(tx, user.id)


async def change(visit: Visit, who: Principal, current: str | None, password: str) -> None:
    """The person has this password from now on; their other sessions have ended.

    Raises: Unauthenticated (the current one is wrong), StepUpRequired (there is none yet), Invalid, RateLimited.
    """
    user_id = who.user_id
    async with visit.deps.database.unscoped() as tx:
        user = await users.find_user(tx, user_id)
        alone = not await factors.methods_of(tx, user_id)
    if user is None:
        raise Unauthenticated("Log in again.")
    if user.password_hash is None:
        who.require_step_up(visit.now)
    else:
        await prove_password(visit, user, current or "")
    plain = accept_password(visit, password, known=_known(user), alone=alone)
    stored = await visit.passwords.hash(plain)
    async with visit.deps.database.unscoped() as tx:
        await users.lock_user(tx, user_id)
        await users.change_user(tx, user_id, visit.now, password_hash=stored, password_changed_at=visit.now)
        await _changed(tx, visit, user, who.login.id if who.login else None)


async def prove_password(visit: Visit, user: UserRow, password: str) -> None:
    """Returns when it is the person's password; failures are counted. Raises: Unauthenticated, RateLimited."""
    subjects = [throttle.person_of(user.id)]
    async with visit.deps.database.unscoped() as tx:
        await throttle.look(tx, subjects, visit.now)
    fits, _ = await visit.passwords.verify(normalised(password), user.password_hash)
    async with visit.deps.database.unscoped() as tx:
        if fits:
            await throttle.succeeded(tx, subjects, visit.now, forget=subjects)
        else:
            await throttle.failed(tx, subjects, visit.now)
    if not fits:
        raise Unauthenticated("The current password is wrong.")


async def _changed(tx: Tx, visit: Visit, user: UserRow, keep: str | None) -> None:
    """What follows from another password."""
    await challenges.void(tx, RESET, user.id, visit.now)
    await tell_about(tx, visit, user.id, UserUpdatedV1(user_id=user.id, changed=("password",), actor=user.id))
    await end_others(tx, visit, user.id, keep, reason="password changed")
    if user.email is not None:
        await write(tx, visit, Letter.PASSWORD_CHANGED, to=user.email, locale=user.locale)


def _known(user: UserRow) -> tuple[str, ...]:
    return (user.email or "", user.name or "")


def _refused() -> Invalid:
    problem = Problem("/token", "token", "is wrong, used or expired")
    return Invalid("The token is wrong, used or expired; ask for a new one.", problems=(problem,))
