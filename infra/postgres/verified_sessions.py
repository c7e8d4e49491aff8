"""Sessions that a verified code has brought, found by the hash of their token."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, select

from infra.postgres.database import Tx
from infra.postgres.tables.credentials import sessions
from infra.postgres.tables.identity import memberships, organizations, users
from infra.postgres.users import UserRow


class VerifiedSession(NamedTuple):
    """One session, ended or not; without the organization's name its owner is no member any more."""

    id: str
    organization_id: str
    expires_at: datetime
    ended_at: datetime | None
    organization_name: str | None
    user: UserRow


async def find(tx: Tx, digest: bytes) -> VerifiedSession | None:
    """The session whose token has this hash."""
    member = and_(
        memberships.c.user_id == sessions.c.user_id, memberships.c.organization_id == sessions.c.active_organization_id
    )
    own = (sessions.c.id, sessions.c.active_organization_id, sessions.c.expires_at, sessions.c.ended_at)
    statement = (
        select(*own, organizations.c.name, *(users.c[name] for name in UserRow._fields))
        .join_from(sessions, users, users.c.id == sessions.c.user_id)
        .join(memberships, member, isouter=True)
        .join(organizations, organizations.c.id == memberships.c.organization_id, isouter=True)
        .where(sessions.c.token_hash == digest, sessions.c.kind == "verified_code")
    )
    row = (await tx.execute(statement)).one_or_none()
    if row is None:
        return None
    session_id, organization_id, expires_at, ended_at, name, *person = row
    return VerifiedSession(session_id, organization_id, expires_at, ended_at, name, UserRow(*person))
