"""People: an access token names a session; what its owner may do is looked up, and remembered for a moment."""

import hashlib

from api.core.deadlines import brief_transaction
from api.core.principal import Kind, Login, Principal
from api.core.remembered import MAX_REMEMBERED, Remembered
from api.core.tokens import Tokens
from contracts.errors import Unauthenticated
from contracts.rules.access import SYSTEM_ROLES, Held, held, rate_class
from contracts.rules.sessions import TOUCH_EVERY, is_over, limits
from infra.clock import Clock
from infra.postgres import access, sessions
from infra.postgres.access import MemberSession
from infra.postgres.database import Database, Tx
from infra.tokens import AccessClaims


class People:
    """Turns access tokens into principals; a changed role or an ended session is effective within a second."""

    def __init__(self, database: Database, clock: Clock, tokens: Tokens, deadline_s: float) -> None:
        self._database = database
        self._clock = clock
        self._tokens = tokens
        self._deadline_s = deadline_s
        self._verified: dict[bytes, AccessClaims] = {}
        self._principals = Remembered(self._look_up, clock)

    async def principal(self, token: str) -> Principal:
        """The principal of the token. Raises: Unauthenticated, DatabaseUnavailable."""
        claims = await self._claims(token)
        found = await self._principals.get(claims, self._clock.now())
        if found is None:
            raise Unauthenticated("The session has ended, or the person is no longer a member; log in again.")
        return found

    def forget_session(self, session_id: str) -> None:
        """What changed about the session is effective with its next request in this process."""
        self._principals.forget_where(lambda claims: claims.session_id == session_id)

    async def _claims(self, token: str) -> AccessClaims:
        """A signature is checked once a token (0.2 ms), its expiry each time."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        claims = self._verified.get(digest)
        if claims is None or claims.expires_at <= self._clock.now():
            self._verified.pop(digest, None)
            claims = await self._tokens.verify(token)
            while len(self._verified) >= MAX_REMEMBERED:
                del self._verified[next(iter(self._verified))]
            self._verified[digest] = claims
        return claims

    async def _look_up(self, claims: AccessClaims) -> Principal | None:
        organization_id, user_id = claims.organization_id, claims.user_id
        async with brief_transaction(self._database, self._deadline_s) as tx:
            session = await access.member_session(tx, claims.session_id, user_id, organization_id, self._clock.now())
            if session is None:
                return None
            scopes, teams = await held_by(tx, organization_id, user_id)
            if not await self._goes_on(tx, session, scopes):
                return None
        return Principal(
            user_id,
            organization_id,
            scopes,
            claims.expires_at,
            kind=Kind.USER,
            rate_class=rate_class(scopes),
            login=Login(session.id, session.authenticated_at, frozenset(session.methods), session.elevated_until),
            teams=teams,
            must_enrol=bool(session.policy.get("mfa_required")) and not session.has_factor,
        )

    async def _goes_on(self, tx: Tx, session: MemberSession, scopes: frozenset[str]) -> bool:
        """Whether it has reached no limit; notes that it was used, once a minute."""
        now, limit = self._clock.now(), limits(scopes, session.policy)
        times = {"authenticated_at": session.authenticated_at, "last_used_at": session.last_used_at}
        if is_over(limit, **times, now=now):
            return False
        if now - session.last_used_at >= TOUCH_EVERY:
            await sessions.touch(tx, session.id, now, unless_since=now)
        return True


async def held_by(tx: Tx, organization_id: str, user_id: str) -> Held:
    """What a member may do: in the whole organization, and by team."""
    roles = {**await access.custom_roles(tx, organization_id), **SYSTEM_ROLES}
    return held(await access.assignments(tx, organization_id, user_id), roles)
