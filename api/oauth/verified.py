"""Verified codes: a person logs in in a browser, and hands a code to a program that has none (a custom GPT)."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from api.core.deadlines import brief_transaction
from api.core.login_schemas import OrganizationBrief, SecondStep, person_out
from api.core.logins import first_step_done, home_of
from api.core.person_facts import say
from api.core.persons import person_sealers
from api.core.principal import Principal
from api.core.remembered import Remembered
from api.core.visits import Visit
from api.oauth.schemas import VerifiedCodeOut, VerifiedSessionOut, VerifiedSessionToken
from api.oauth.service import FEDERATED
from contracts.errors import NotFound, PermissionDenied, Unauthenticated
from contracts.events.auth import SessionStartedV1, UserLoggedInV1
from infra.clock import Clock
from infra.crypto import hash_secret, new_secret, new_verified_code
from infra.ids import new_id
from infra.postgres import challenges, factors, sessions, users, verified_sessions
from infra.postgres.challenges import ChallengeRow
from infra.postgres.database import Database, Tx
from infra.postgres.sessions import SessionRow
from infra.postgres.users import UserRow

CODE: Final = "verified_code"
CODE_LIFE: Final = timedelta(minutes=10)
SESSION: Final = "verified_session"
SESSION_LIFE: Final = timedelta(days=7)
AHEAD: Final = timedelta(seconds=0.5)
"""Programs ask with every message of a conversation: they do not wait for PostgreSQL each second."""


async def code_or_second_step(tx: Tx, visit: Visit, user: UserRow, session: str | None) -> str | SecondStep:
    """A code for somebody who has just logged in with a provider, or what they must still prove.

    Raises: PermissionDenied when their organization demands a second factor and they have none.
    """
    home = await home_of(tx, user)
    if await factors.methods_of(tx, user.id):
        done = await first_step_done(tx, visit, user, methods=(FEDERATED,), via="oauth", trusted=False)
        assert isinstance(done, SecondStep), "who has a factor is asked for it"
        return done
    if home.policy.get("mfa_required"):
        raise PermissionDenied("Your organization demands a second factor: log in to the hub and set one up first.")
    return await new_code(tx, visit, user.id, home.organization_id, session, (FEDERATED,))


async def code_for(visit: Visit, who: Principal, session: str | None) -> VerifiedCodeOut:
    """A code for the person who is logged in. Raises: PermissionDenied without a factor that is demanded."""
    if who.must_enrol:
        raise PermissionDenied("Your organization demands a second factor: set one up first.")
    methods = tuple(sorted(who.login.methods)) if who.login else ()
    async with visit.deps.database.unscoped() as tx:
        code = await new_code(tx, visit, who.user_id, who.organization_id, session, methods)
    return VerifiedCodeOut(code=code, expires_in=int(CODE_LIFE.total_seconds()))


async def new_code(
    tx: Tx, visit: Visit, user_id: str, organization_id: str, session: str | None, methods: tuple[str, ...]
) -> str:
    """A code, in clear this once."""
    code = new_verified_code()
    data = {"session": session, "organization_id": organization_id, "methods": list(methods)}
    row = ChallengeRow(new_id("chl"), CODE, user_id, visit.hash(CODE, code), data, 1, visit.now,
                       visit.now + CODE_LIFE)  # fmt: skip
    await challenges.create(tx, row)
    return code


async def redeem(visit: Visit, code: str, session: str | None) -> VerifiedSessionToken:
    """A session for the code; of any number of callers at once, one gets it. Raises: Unauthenticated."""
    refused = Unauthenticated("The code is unknown, used, or older than ten minutes; log in again for a fresh one.")
    token = new_secret()
    async with visit.deps.database.unscoped() as tx:
        row = await challenges.consume_by_hash(tx, CODE, visit.hash(CODE, code.strip().upper()), visit.now)
    if row is None or row.user_id is None or (session is not None and row.data["session"] not in (None, session)):
        raise refused
    async with visit.deps.database.unscoped() as tx:
        user = await users.find_user(tx, row.user_id)
        home = await sessions.membership(tx, row.user_id, row.data["organization_id"])
        if user is None or user.status != "active" or home is None:
            raise refused
        started = await _start(tx, visit, user, home.organization_id, tuple(row.data["methods"]), token)
    return VerifiedSessionToken(
        session_token=token,
        session_id=started.id,
        expires_at=started.expires_at,
        user=person_out(user),
        organization=OrganizationBrief(id=home.organization_id, name=home.name),
    )


async def _start(
    tx: Tx, visit: Visit, user: UserRow, organization_id: str, methods: tuple[str, ...], token: str
) -> SessionRow:
    sealer = (await person_sealers(tx, visit.deps.sealer, (user.id,)))[user.id]
    session = SessionRow(
        id=new_id("ses"),
        user_id=user.id,
        active_organization_id=organization_id,
        kind="verified_code",
        token_hash=visit.hash(SESSION, token),
        methods=methods,
        device=sealer.seal(visit.device_name),
        address=sealer.seal(visit.context.address),
        created_at=visit.now,
        last_used_at=visit.now,
        authenticated_at=visit.now,
        elevated_until=None,
        expires_at=visit.now + SESSION_LIFE,
    )
    await sessions.save_session(tx, session)
    for fact in (
        UserLoggedInV1(user_id=user.id, method="oauth", actor=user.id),
        SessionStartedV1(user_id=user.id, session_id=session.id, methods=methods, actor=user.id),
    ):
        await say(tx, visit, organization_id, user.id, fact)
    return session


class Known(NamedTuple):
    """A session as it was found; `ended`: by somebody, or its owner may not log in any more."""

    shown: VerifiedSessionOut
    expires_at: datetime
    ended: bool


class VerifiedSessions:
    """Looks sessions up by their token; asks PostgreSQL at most once a second per token."""

    def __init__(self, database: Database, clock: Clock, pepper: bytes, deadline_s: float) -> None:
        self._database = database
        self._clock = clock
        self._pepper = pepper
        self._deadline_s = deadline_s
        self._sessions = Remembered(self._look_up, clock, ahead=AHEAD)

    async def verify(self, token: str) -> VerifiedSessionOut:
        """The session. Raises: NotFound (unknown), Unauthenticated (expired, ended), DatabaseUnavailable."""
        now = self._clock.now()
        found = await self._sessions.get(hash_secret(token, self._pepper, SESSION), now)
        if found is None:
            raise NotFound("There is no such session.")
        if found.ended or found.expires_at <= now:
            raise Unauthenticated("The session has expired or was ended; log in again for a fresh code.")
        return found.shown

    async def _look_up(self, digest: bytes) -> Known | None:
        async with brief_transaction(self._database, self._deadline_s) as tx:
            found = await verified_sessions.find(tx, digest)
        if found is None:
            return None
        user = found.user
        ended = found.ended_at is not None or user.status != "active" or found.organization_name is None
        shown = VerifiedSessionOut(
            session_id=found.id,
            expires_at=found.expires_at,
            user=person_out(user),
            organization=OrganizationBrief(id=found.organization_id, name=found.organization_name or ""),
        )
        return Known(shown, found.expires_at, ended)
