"""How a log-in becomes a session, whatever proved it: password, second factor, another provider.

async with visit.deps.database.unscoped() as tx:
    done = await first_step_done(tx, visit, user, methods=("pwd",), via="password")
return await answer(visit, done)
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, cast

from api.core import facts
from api.core.login_schemas import LoginOut, Method, OrganizationBrief, SecondFactor, SecondStep, TokenPair, person_out
from api.core.persons import PersonSealer, person_sealers
from api.core.visits import Visit
from contracts.errors import PermissionDenied
from contracts.events.auth import SessionRevokedV1, SessionStartedV1, UserLoggedInV1
from infra import tokens as access_tokens
from infra.crypto import new_secret
from infra.ids import new_id
from infra.postgres import challenges, devices, factors, sessions, users
from infra.postgres.challenges import ChallengeRow
from infra.postgres.database import Tx
from infra.postgres.sessions import Home, SessionRow
from infra.postgres.users import UserRow

REFRESH_LIFE: Final = timedelta(days=7)
SESSION_LIFE: Final = timedelta(days=30)
"""However often it is refreshed."""
ELEVATED_FOR: Final = timedelta(minutes=5)
"""How long a proof (a log-in, a step-up) is good for money, keys and roles."""
SECOND_STEP: Final = "second_factor"
SECOND_STEP_LIFE: Final = timedelta(minutes=5)
SECOND_STEP_TRIES: Final = 5

Via = Literal["password", "oauth", "passkey", "totp"]
STRONG: Final = frozenset(("otp", "hwk", "swk", "mfa"))
"""Methods (RFC 8176) that only somebody with a second factor has proved."""


class Started(NamedTuple):
    """A session in a transaction that is still open; its tokens are for after the commit."""

    user: UserRow
    home: Home
    session: SessionRow
    refresh_token: str
    device_token: str | None


async def first_step_done(
    tx: Tx, visit: Visit, user: UserRow, *, methods: Sequence[str], via: Via, trusted: bool = True
) -> Started | SecondStep:
    """A session, or what the person must still prove; whoever opened `tx` commits, then calls `answer`.

    A second factor is needed when they have one and the device is not remembered (`trusted=False`: even then). Who
    has none though their organization demands it can do nothing with the session but set one up.
    Raises: PermissionDenied for who is a member of nothing.
    """
    home = await home_of(tx, user)
    known = await factors.methods_of(tx, user.id)
    if known and STRONG.isdisjoint(methods) and not (trusted and await _remembered(tx, visit, user.id)):
        return await _second_step(tx, visit, user, methods, via, known)
    return await start_session(tx, visit, user, home, methods=methods, via=via)


async def start_session(
    tx: Tx,
    visit: Visit,
    user: UserRow,
    home: Home,
    *,
    methods: Sequence[str],
    via: Via,
    trusted_until: datetime | None = None,
) -> Started:
    """A new session with its first refresh token, and the facts that say so; `trusted_until` remembers the device."""
    now = visit.now
    sealer = (await person_sealers(tx, visit.deps.sealer, [user.id]))[user.id]
    session = SessionRow(
        id=new_id("ses"),
        user_id=user.id,
        active_organization_id=home.organization_id,
        kind="tokens",
        token_hash=None,
        methods=tuple(methods),
        device=sealer.seal(visit.device_name),
        address=sealer.seal(visit.context.address),
        created_at=now,
        last_used_at=now,
        authenticated_at=now,
        elevated_until=now + ELEVATED_FOR,
        expires_at=now + SESSION_LIFE,
    )
    await sessions.save_session(tx, session)
    refresh_token = await add_refresh_token(tx, visit, session)
    device_token = await _know_device(tx, visit, user.id, sealer, trusted_until)
    await end_surplus(tx, visit, session, home)
    logged_in = UserLoggedInV1(user_id=user.id, method=via, actor=user.id)
    started = SessionStartedV1(user_id=user.id, session_id=session.id, methods=tuple(methods), actor=user.id)
    for fact in (logged_in, started):
        await facts.tell(tx, visit.context, home.organization_id, fact, now=now, sealer=sealer, subject=user.id)
    return Started(user, home, session, refresh_token, device_token)


async def answer(visit: Visit, done: Started | SecondStep) -> LoginOut:
    """What the client is told, once the transaction has committed. Raises: DatabaseUnavailable."""
    return done if isinstance(done, SecondStep) else await token_pair(visit, done)


async def token_pair(visit: Visit, done: Started) -> TokenPair:
    """The session's tokens. Raises: DatabaseUnavailable."""
    session, now = done.session, visit.now
    organization = session.active_organization_id
    access_token = await visit.tokens.issue(session.user_id, session.id, organization, session.expires_at)
    return TokenPair(
        access_token=access_token,
        expires_in=_seconds(min(access_tokens.LIFE, session.expires_at - now)),
        refresh_token=done.refresh_token,
        refresh_expires_in=_seconds(min(REFRESH_LIFE, session.expires_at - now)),
        session_id=session.id,
        user=person_out(done.user),
        organization=OrganizationBrief(id=done.home.organization_id, name=done.home.name),
        device_token=done.device_token,
    )


async def add_refresh_token(tx: Tx, visit: Visit, session: SessionRow) -> str:
    """The session's next refresh token, in clear this once; it lives 7 days, and never longer than the session."""
    secret = new_secret()
    expires_at = min(visit.now + REFRESH_LIFE, session.expires_at)
    await sessions.save_refresh_token(tx, visit.hash("refresh", secret), session.id, visit.now, expires_at)
    return secret


async def home_of(tx: Tx, user: UserRow) -> Home:
    """The organization that a new session acts for: the one of their last session, else their own, else their first.

    Raises: PermissionDenied for who is a member of nothing.
    """
    home = await sessions.home(tx, user.id)
    if home is None:
        raise PermissionDenied("You are a member of no organization any more; ask an admin to invite you.")
    return home


async def _remembered(tx: Tx, visit: Visit, user_id: str) -> bool:
    digest = visit.device_hash
    device = None if digest is None else await devices.find_device(tx, digest, user_id)
    return device is not None and device.trusted_until is not None and device.trusted_until > visit.now


async def _second_step(
    tx: Tx, visit: Visit, user: UserRow, methods: Sequence[str], via: Via, known: Sequence[str]
) -> SecondStep:
    secret, data = new_secret(), {"methods": list(methods), "via": via}
    row = ChallengeRow(
        new_id("chl"),
        SECOND_STEP,
        user.id,
        visit.hash(SECOND_STEP, secret),
        cast(dict[str, Any], data),
        SECOND_STEP_TRIES,
        visit.now,
        visit.now + SECOND_STEP_LIFE,
    )
    await challenges.create(tx, row)
    shown = [cast(Method, one) for one in known]
    return SecondStep(
        second_factor=SecondFactor(challenge=secret, methods=shown, expires_in=_seconds(SECOND_STEP_LIFE))
    )


async def _know_device(
    tx: Tx, visit: Visit, user_id: str, sealer: PersonSealer, trusted_until: datetime | None
) -> str | None:
    """The token of a device that was not known; None for one that was."""
    digest, now, token = visit.device_hash, visit.now, None
    if digest is not None and await devices.find_device(tx, digest, user_id):
        await devices.touch(tx, digest, now)
    else:
        token = new_secret()
        digest = visit.hash("device", token)
        await devices.save_device(tx, devices.DeviceRow(digest, user_id, sealer.seal(visit.device_name), now, now))
    if trusted_until is not None:
        await devices.trust(tx, digest, trusted_until)
    return token


async def end_surplus(tx: Tx, visit: Visit, session: SessionRow, home: Home) -> None:
    """Ends the oldest sessions beyond what the organization allows a person at once (`policy.max_sessions`)."""
    allowed = home.policy.get("max_sessions")
    if not isinstance(allowed, int) or allowed < 1:
        return
    await users.lock_user(tx, session.user_id)
    ended = await sessions.end_oldest(tx, session.user_id, home.organization_id, keep=allowed, now=visit.now)
    sealer = (await person_sealers(tx, visit.deps.sealer, [session.user_id])).get(session.user_id)
    for session_id in ended:
        fact = SessionRevokedV1(
            user_id=session.user_id, session_id=session_id, reason="too many sessions", actor=session.user_id
        )
        await facts.tell(tx, visit.context, home.organization_id, fact, now=visit.now, sealer=sealer)


def _seconds(span: timedelta) -> int:
    return max(int(span.total_seconds()), 0)
