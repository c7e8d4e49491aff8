"""Sessions and their refresh tokens."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, any_, case, delete, func, insert, literal, or_, select, text, tuple_, update

from infra.postgres.database import Tx
from infra.postgres.tables.credentials import refresh_tokens, sessions
from infra.postgres.tables.identity import memberships, organizations


class SessionRow(NamedTuple):
    """One session. `device` and `address` are sealed under the person's key (api/core/persons.py)."""

    id: str
    user_id: str
    active_organization_id: str
    kind: str
    token_hash: bytes | None
    methods: Sequence[str]
    device: str
    address: str
    created_at: datetime
    last_used_at: datetime
    authenticated_at: datetime
    elevated_until: datetime | None
    expires_at: datetime
    ended_at: datetime | None = None
    end_reason: str | None = None


class Home(NamedTuple):
    """An organization that a person is a member of."""

    organization_id: str
    name: str
    policy: Mapping[str, Any]


_COLUMNS = [sessions.c[name] for name in SessionRow._fields]


async def save_session(tx: Tx, session: SessionRow) -> None:
    """A new session."""
    await tx.execute(insert(sessions).values(**{**session._asdict(), "methods": list(session.methods)}))


async def elevate(tx: Tx, session_id: str, method: str, until: datetime) -> bool:
    """True when the session goes on; until then it has proved enough for money, keys and roles."""
    known = sessions.c.methods
    values = {
        "elevated_until": until,
        "methods": case((literal(method) == any_(known), known), else_=func.array_append(known, method)),
    }
    mine = and_(sessions.c.id == session_id, sessions.c.ended_at.is_(None))
    return (await tx.execute(update(sessions).where(mine).values(**values))).rowcount == 1


async def home(tx: Tx, user_id: str) -> Home | None:
    """The organization of the person's last session if they still belong to it, else their own, else their first."""
    statement = text("""
        SELECT o.id, o.name, o.policy FROM memberships m JOIN organizations o ON o.id = m.organization_id
        WHERE m.user_id = :user_id
        ORDER BY (o.id = (
            SELECT active_organization_id FROM sessions WHERE user_id = :user_id
            ORDER BY created_at DESC, id DESC LIMIT 1
        )) IS TRUE DESC, (o.personal_of = :user_id) IS TRUE DESC, m.joined_at, o.id
        LIMIT 1
    """)
    row = (await tx.execute(statement, {"user_id": user_id})).one_or_none()
    return Home(*row) if row else None


async def save_refresh_token(tx: Tx, digest: bytes, session_id: str, issued_at: datetime, expires_at: datetime) -> None:
    """One more refresh token of the session, stored as its hash."""
    row = {"hash": digest, "session_id": session_id, "issued_at": issued_at, "expires_at": expires_at}
    await tx.execute(insert(refresh_tokens).values(**row))


async def end_oldest(tx: Tx, user_id: str, organization_id: str, *, keep: int, now: datetime) -> Sequence[str]:
    """Ends the person's oldest sessions there beyond the `keep` newest; lock the person first. The ids that ended."""
    mine = and_(
        sessions.c.user_id == user_id,
        sessions.c.active_organization_id == organization_id,
        sessions.c.ended_at.is_(None),
        sessions.c.expires_at > now,
    )
    order = (sessions.c.created_at.desc(), sessions.c.id.desc())
    surplus = select(sessions.c.id).where(mine).order_by(*order).offset(keep)
    statement = update(sessions).where(sessions.c.id.in_(surplus)).values(ended_at=now, end_reason="too many sessions")
    return list(await tx.scalars(statement.returning(sessions.c.id)))


async def use_refresh_token(tx: Tx, digest: bytes, now: datetime) -> str | None:
    """The session of an unused token in force, used from now on: of any number of callers at once, one gets it."""
    mine = and_(refresh_tokens.c.hash == digest, refresh_tokens.c.used_at.is_(None), refresh_tokens.c.expires_at > now)
    statement = update(refresh_tokens).where(mine).values(used_at=now).returning(refresh_tokens.c.session_id)
    found: str | None = await tx.scalar(statement)
    return found


async def session_of_used_token(tx: Tx, digest: bytes) -> SessionRow | None:
    """The session of a token that was used before, ended or not."""
    used = and_(refresh_tokens.c.hash == digest, refresh_tokens.c.used_at.is_not(None))
    joined = sessions.join(refresh_tokens, refresh_tokens.c.session_id == sessions.c.id)
    row = (await tx.execute(select(*_COLUMNS).select_from(joined).where(used))).one_or_none()
    return SessionRow(*row) if row else None


def _alive(now: datetime) -> Any:
    return and_(sessions.c.ended_at.is_(None), sessions.c.expires_at > now)


async def find_alive(tx: Tx, session_id: str, now: datetime) -> SessionRow | None:
    """The session while it goes on; nobody else may change it until the transaction ends."""
    statement = select(*_COLUMNS).where(sessions.c.id == session_id, _alive(now)).with_for_update()
    row = (await tx.execute(statement)).one_or_none()
    return SessionRow(*row) if row else None


async def list_alive(
    tx: Tx, user_id: str, now: datetime, *, after: tuple[datetime, str] | None, limit: int
) -> Sequence[SessionRow]:
    """The person's sessions that go on, newest first, after the position."""
    place = tuple_(sessions.c.created_at, sessions.c.id)
    statement = select(*_COLUMNS).where(sessions.c.user_id == user_id, _alive(now))
    if after is not None:
        statement = statement.where(place < tuple_(*after))
    return [SessionRow(*row) for row in await tx.execute(statement.order_by(place.desc()).limit(limit))]


async def end_session(tx: Tx, session_id: str, user_id: str, now: datetime, reason: str) -> bool:
    """True when the person's session went on until now."""
    mine = and_(sessions.c.id == session_id, sessions.c.user_id == user_id, _alive(now))
    return (await tx.execute(update(sessions).where(mine).values(ended_at=now, end_reason=reason))).rowcount == 1


async def end_all(tx: Tx, user_id: str, now: datetime, reason: str, *, but: str | None = None) -> Sequence[str]:
    """Ends the person's sessions (but one); the ids that ended."""
    mine = and_(sessions.c.user_id == user_id, _alive(now))
    if but is not None:
        mine = and_(mine, sessions.c.id != but)
    statement = update(sessions).where(mine).values(ended_at=now, end_reason=reason).returning(sessions.c.id)
    return list(await tx.scalars(statement))


async def touch(tx: Tx, session_id: str, now: datetime, *, unless_since: datetime) -> None:
    """The session was used now, unless that is known of a moment ago."""
    stale = and_(sessions.c.id == session_id, sessions.c.last_used_at < unless_since)
    await tx.execute(update(sessions).where(stale).values(last_used_at=now))


async def switch(tx: Tx, session_id: str, organization_id: str) -> None:
    """The session acts for another organization from now on."""
    statement = update(sessions).where(sessions.c.id == session_id)
    await tx.execute(statement.values(active_organization_id=organization_id))


async def membership(tx: Tx, user_id: str, organization_id: str) -> Home | None:
    """The organization, if the person is a member of it."""
    statement = (
        select(organizations.c.id, organizations.c.name, organizations.c.policy)
        .join(memberships, memberships.c.organization_id == organizations.c.id)
        .where(memberships.c.user_id == user_id, organizations.c.id == organization_id)
    )
    row = (await tx.execute(statement)).one_or_none()
    return Home(*row) if row else None


async def purge(tx: Tx, before: datetime) -> int:
    """Forgets sessions that ended or expired before that instant, their refresh tokens too; how many."""
    over = or_(sessions.c.expires_at < before, sessions.c.ended_at < before)
    return (await tx.execute(delete(sessions).where(over))).rowcount
