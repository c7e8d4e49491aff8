"""Refresh tokens: each is good once; whoever brings an old one ends the session, for one of two has stolen it.

A client that sends one token twice at once is indistinguishable from a thief: it must send one and wait. (RFC 9700,
section 4.14.2.)
"""

from api.auth.ending import tell_about
from api.core.login_schemas import TokenPair
from api.core.logins import Started, add_refresh_token, home_of, token_pair
from api.core.people import held_by
from api.core.visits import Visit
from contracts.errors import Unauthenticated
from contracts.events.auth import RefreshReusedV1, SessionRevokedV1
from contracts.rules.sessions import is_over, limits
from infra.postgres import sessions, users
from infra.postgres.database import Tx
from infra.postgres.sessions import SessionRow
from infra.postgres.users import UserRow

REUSED = "refresh token reused"


async def refresh(visit: Visit, token: str) -> TokenPair:
    """The next pair. Raises: Unauthenticated (unknown, expired, used: then its session ends), DatabaseUnavailable."""
    digest = visit.hash("refresh", token)
    await visit.tokens.prepare()
    async with visit.deps.database.unscoped() as tx:
        session_id = await sessions.use_refresh_token(tx, digest, visit.now)
        if session_id is None:
            await _end_family(tx, visit, digest)
            started = None
        else:
            started = await _go_on(tx, visit, session_id)
    if started is None:
        raise Unauthenticated("The refresh token is unknown, used or expired, or its session has ended; log in again.")
    return await token_pair(visit, started)


async def _go_on(tx: Tx, visit: Visit, session_id: str) -> Started | None:
    """The session with its next token; None when it is over."""
    session = await sessions.find_alive(tx, session_id, visit.now)
    user = await users.find_user(tx, session.user_id) if session else None
    if session is None or user is None or user.status != "active":
        return None
    home = await sessions.membership(tx, user.id, session.active_organization_id)
    if home is None:
        home = await home_of(tx, user)
        await sessions.switch(tx, session.id, home.organization_id)
        session = session._replace(active_organization_id=home.organization_id)
    scopes, _ = await held_by(tx, home.organization_id, user.id)
    times = {"authenticated_at": session.authenticated_at, "last_used_at": session.last_used_at}
    if is_over(limits(scopes, home.policy), **times, now=visit.now):
        await _end(tx, visit, user, session, "limit reached")
        return None
    await sessions.touch(tx, session.id, visit.now, unless_since=visit.now)
    return Started(user, home, session, await add_refresh_token(tx, visit, session), None)


async def _end_family(tx: Tx, visit: Visit, digest: bytes) -> None:
    """If the token was used before, its session ends, the newest tokens with it."""
    session = await sessions.session_of_used_token(tx, digest)
    if session and await sessions.end_session(tx, session.id, session.user_id, visit.now, REUSED):
        user_id, where = session.user_id, session.active_organization_id
        reused = RefreshReusedV1(user_id=user_id, session_id=session.id)
        ended = SessionRevokedV1(user_id=user_id, session_id=session.id, reason=REUSED)
        await tell_about(tx, visit, user_id, reused, ended, where=where)


async def _end(tx: Tx, visit: Visit, user: UserRow, session: SessionRow, reason: str) -> None:
    if await sessions.end_session(tx, session.id, user.id, visit.now, reason):
        fact = SessionRevokedV1(user_id=user.id, session_id=session.id, reason=reason)
        await tell_about(tx, visit, user.id, fact, where=session.active_organization_id)
