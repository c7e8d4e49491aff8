"""Sessions and their refresh tokens."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, insert, select, text, update

from infra.postgres.database import Tx
from infra.postgres.tables.credentials import refresh_tokens, sessions


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
