"""Accounts at other providers that people log in with."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, delete, select
from sqlalchemy.dialects.postgresql import insert

from infra.postgres.database import Tx
from infra.postgres.tables.credentials import linked_identities


class IdentityRow(NamedTuple):
    """One account. Issuer and subject name it for ever; its address is what the provider said when it was linked."""

    issuer: str
    subject: str
    provider: str
    user_id: str
    email: str | None
    linked_at: datetime


_COLUMNS = [linked_identities.c[name] for name in IdentityRow._fields]


async def link(tx: Tx, row: IdentityRow) -> bool:
    """False when the account is linked already, to whomever."""
    statement = insert(linked_identities).values(**row._asdict()).on_conflict_do_nothing()
    return (await tx.execute(statement)).rowcount == 1


async def find(tx: Tx, issuer: str, subject: str) -> IdentityRow | None:
    """The account, if somebody linked it."""
    mine = and_(linked_identities.c.issuer == issuer, linked_identities.c.subject == subject)
    row = (await tx.execute(select(*_COLUMNS).where(mine))).one_or_none()
    return IdentityRow(*row) if row else None


async def of_user(tx: Tx, user_id: str) -> list[IdentityRow]:
    """The person's accounts, the first linked first."""
    order = (linked_identities.c.linked_at, linked_identities.c.issuer, linked_identities.c.subject)
    rows = await tx.execute(select(*_COLUMNS).where(linked_identities.c.user_id == user_id).order_by(*order))
    return [IdentityRow(*row) for row in rows]


async def unlink(tx: Tx, user_id: str, provider: str) -> int:
    """Removes the person's accounts at the provider; how many there were."""
    mine = and_(linked_identities.c.user_id == user_id, linked_identities.c.provider == provider)
    return (await tx.execute(delete(linked_identities).where(mine))).rowcount
