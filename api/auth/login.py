"""Logging in by password: the same answer, and the same work, whether there is an account or not."""

from typing import Final, NamedTuple

from api.core import facts, throttle
from api.core.deadlines import ANSWERS_AFTER_S, no_sooner_than
from api.core.login_schemas import LoginOut, SecondStep
from api.core.logins import Started, answer, first_step_done
from api.core.persons import person_sealers
from api.core.visits import Visit
from contracts.errors import EmailUnverified, Unauthenticated
from contracts.events.auth import LoginFailedV1, UserLockedV1
from contracts.rules.passwords import normalised
from infra.postgres import devices, sessions, users
from infra.postgres.database import Tx
from infra.postgres.users import UserRow

_NOBODY: Final = ""
"""Stands in for the id of who is not there, so that the same statements run."""


class _Found(NamedTuple):
    """What a log-in is about. `subjects` are those whose failures count, `account` the one that a success clears."""

    user: UserRow | None
    subjects: tuple[str, ...]
    account: str


async def log_in(visit: Visit, email: str, password: str) -> LoginOut:
    """Tokens, or the second step. Raises: Unauthenticated, EmailUnverified, PermissionDenied, RateLimited, Overloaded,
    DatabaseUnavailable."""
    async with visit.deps.database.unscoped() as tx:
        found = await _find(tx, visit, email)
        await throttle.look(tx, found.subjects, visit.now)
    stored = found.user.password_hash if found.user and found.user.status == "active" else None
    fits, renewed = await visit.passwords.verify(normalised(password), stored)
    if found.user is None or not fits:
        await _refuse(visit, found)
        raise Unauthenticated("E-mail address or password is wrong.")
    async with visit.deps.database.unscoped() as tx:
        done = await _admit(tx, visit, found, found.user, renewed)
    return await answer(visit, done)


async def _admit(tx: Tx, visit: Visit, found: _Found, user: UserRow, renewed: str | None) -> Started | SecondStep:
    await throttle.succeeded(tx, found.subjects, visit.now, forget=[found.account])
    now_stored = await users.find_user(tx, user.id)
    if now_stored is None or now_stored.status != "active" or now_stored.password_hash != user.password_hash:
        raise Unauthenticated("E-mail address or password is wrong.")  # changed while it was checked
    if user.email_verified_at is None:
        raise EmailUnverified("Prove your address first: hand in the code that came by mail, or register again.")
    if renewed is not None:
        await users.change_user(tx, user.id, visit.now, password_hash=renewed)
    return await first_step_done(tx, visit, user, methods=("pwd",), via="password")


async def _refuse(visit: Visit, found: _Found) -> None:
    """Counts the failure and says so. Raises: RateLimited when it came too early: then it is not even answered."""
    user_id = found.user.id if found.user else None
    async with no_sooner_than(ANSWERS_AFTER_S), visit.deps.database.unscoped() as tx:
        locked_until = await throttle.failed(tx, found.subjects, visit.now)
        home = await sessions.home(tx, user_id or _NOBODY)
        where = home.organization_id if home else facts.HUB
        sealer = (await person_sealers(tx, visit.deps.sealer, [user_id or _NOBODY])).get(user_id or _NOBODY)
        fact = LoginFailedV1(user_id=user_id, reason="wrong name or password")
        await facts.tell(tx, visit.context, where, fact, now=visit.now, sealer=sealer, subject=user_id)
        if locked_until is not None and user_id is not None:
            locked = UserLockedV1(user_id=user_id, until=locked_until)
            await facts.tell(tx, visit.context, where, locked, now=visit.now, sealer=sealer, subject=user_id)


async def _find(tx: Tx, visit: Visit, email: str) -> _Found:
    """As little as can be for whom there is: its time is not evened out."""
    user = await users.find_by_email(tx, email)
    digest = visit.device_hash
    known = digest is not None and await devices.find_device(tx, digest, user.id if user else _NOBODY) is not None
    account = throttle.device_of(digest) if known and digest is not None else throttle.account_of(visit, email)
    return _Found(user, (account,) if known else (account, throttle.address_of(visit)), account)
