"""Sessions that a verified code has brought, found by the hash of their token."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, select

from infra.postgres.database import Tx
from infra.postgres.tables.credentials import sessions
from infra.postgres.tables.identity import memberships, organizations


class VerifiedSession(NamedTuple):
    """One session, ended or not; without the organization's name its owner is no member any more."""

    id: str
    user_id: str
    organization_id: str
    expires_at: datetime
    ended_at: datetime | None
    organization_name: str | None


async def find(tx: Tx, digest: bytes) -> VerifiedSession | None:
    """The session whose token has this hash."""
    member = and_(
        memberships.c.user_id == sessions.c.user_id, memberships.c.organization_id == sessions.c.active_organization_id
    )
    statement = (
        select(
            sessions.c.id,
            sessions.c.user_id,
            sessions.c.active_organization_id,
            sessions.c.expires_at,
            sessions.c.ended_at,
            organizations.c.name,
        )
        .join_from(sessions, memberships, member, isouter=True)
        .join(organizations, organizations.c.id == memberships.c.organization_id, isouter=True)
        .where(sessions.c.token_hash == digest, sessions.c.kind == "verified_code")
    )
    row = (await tx.execute(statement)).one_or_none()
    return VerifiedSession(*row) if row else None
