"""Invitations: by e-mail, used once, for seven days."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, insert, select, update

from infra.postgres.database import Tx
from infra.postgres.listing import Window, newest_first
from infra.postgres.tables.identity import invitations


class InvitationRow(NamedTuple):
    """One invitation; the token's hash stays in the database."""

    id: str
    organization_id: str
    email: str
    role_id: str
    invited_by: str
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None = None
    revoked_at: datetime | None = None


_COLUMNS = [invitations.c[name] for name in InvitationRow._fields]
_OPEN = (invitations.c.accepted_at.is_(None), invitations.c.revoked_at.is_(None))


async def save_invitation(tx: Tx, invitation: InvitationRow, digest: bytes) -> None:
    """A new invitation under the hash of its token."""
    await tx.execute(insert(invitations).values(**invitation._asdict(), hash=digest))


async def revoke_earlier(tx: Tx, organization_id: str, email: str, now: datetime) -> None:
    """Open invitations of this address are void: the newest counts."""
    mine = (invitations.c.organization_id == organization_id, invitations.c.email == email)
    await tx.execute(update(invitations).where(*mine, *_OPEN).values(revoked_at=now))


async def revoke_of(tx: Tx, organization_id: str, invited_by: str, now: datetime) -> None:
    """Open invitations that somebody sent are void."""
    mine = (invitations.c.organization_id == organization_id, invitations.c.invited_by == invited_by)
    await tx.execute(update(invitations).where(*mine, *_OPEN).values(revoked_at=now))


async def revoke_invitation(tx: Tx, organization_id: str, invitation_id: str, now: datetime) -> InvitationRow | None:
    """The invitation, revoked now or earlier, or accepted; None when the organization has none of this id."""
    mine = (invitations.c.organization_id == organization_id, invitations.c.id == invitation_id)
    await tx.execute(update(invitations).where(*mine, *_OPEN).values(revoked_at=now))
    row = (await tx.execute(select(*_COLUMNS).where(*mine))).one_or_none()
    return InvitationRow(*row) if row else None


async def count_open(tx: Tx, organization_id: str, now: datetime) -> int:
    """How many invitations of the organization can be accepted now."""
    query = (
        select(func.count())
        .select_from(invitations)
        .where(invitations.c.organization_id == organization_id, *_OPEN, invitations.c.expires_at > now)
    )
    return await tx.scalar(query) or 0


async def find_by_hash(tx: Tx, digest: bytes) -> InvitationRow | None:
    """The invitation of the token with this hash, used or not: needs an unscoped transaction."""
    row = (await tx.execute(select(*_COLUMNS).where(invitations.c.hash == digest))).one_or_none()
    return InvitationRow(*row) if row else None


async def accept_invitation(tx: Tx, invitation_id: str, now: datetime) -> bool:
    """True for the one who uses it; False when it was used, revoked, or is over."""
    usable = (invitations.c.id == invitation_id, *_OPEN, invitations.c.expires_at > now)
    return (await tx.execute(update(invitations).where(*usable).values(accepted_at=now))).rowcount == 1


async def list_invitations(tx: Tx, organization_id: str, window: Window) -> tuple[list[InvitationRow], int | None]:
    """The organization's invitations, the newest first, and how many there are."""
    query = select(*_COLUMNS).where(invitations.c.organization_id == organization_id)
    rows, total = await newest_first(tx, query, (invitations.c.created_at, invitations.c.id), window)
    return [InvitationRow(*row) for row in rows], total
