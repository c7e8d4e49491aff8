"""People as stored."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from infra.postgres.database import Tx
from infra.postgres.tables.identity import organizations, person_keys, users


class UserRow(NamedTuple):
    """One person. `email` is in lower case, None once erased; `status` active, disabled or erased."""

    id: str
    email: str | None
    email_verified_at: datetime | None
    name: str | None
    locale: str
    password_hash: str | None
    password_changed_at: datetime | None
    status: str
    created_at: datetime
    updated_at: datetime
    version: int


_USER = [users.c[name] for name in UserRow._fields]


async def save_user(tx: Tx, user: UserRow) -> bool:
    """True when they are new, False when the id or the address was there already (nothing changes then)."""
    statement = insert(users).values(**user._asdict()).on_conflict_do_nothing()
    return (await tx.execute(statement)).rowcount == 1


async def find_user(tx: Tx, user_id: str) -> UserRow | None:
    """The person with this id."""
    row = (await tx.execute(select(*_USER).where(users.c.id == user_id))).one_or_none()
    return UserRow(*row) if row else None


async def find_by_email(tx: Tx, email: str) -> UserRow | None:
    """The person with this address (lower case)."""
    row = (await tx.execute(select(*_USER).where(users.c.email == email))).one_or_none()
    return UserRow(*row) if row else None


async def verify_email(tx: Tx, user_id: str, now: datetime, **known: object) -> UserRow | None:
    """The person, their address proved now or earlier; `known` are further columns (password_hash, name ...)."""
    proved = func.coalesce(users.c.email_verified_at, now)
    values = {"email_verified_at": proved, "updated_at": now, "version": users.c.version + 1, **known}
    statement = update(users).where(users.c.id == user_id, users.c.status == "active").values(**values)
    row = (await tx.execute(statement.returning(*_USER))).one_or_none()
    return UserRow(*row) if row else None


async def change_user(tx: Tx, user_id: str, now: datetime, **changed: object) -> UserRow | None:
    """The active person with these columns changed."""
    values = {**changed, "updated_at": now, "version": users.c.version + 1}
    statement = update(users).where(users.c.id == user_id, users.c.status == "active").values(**values)
    row = (await tx.execute(statement.returning(*_USER))).one_or_none()
    return UserRow(*row) if row else None


async def change_email(tx: Tx, user_id: str, now: datetime, email: str) -> UserRow | None:
    """The active person with this address, proved; None when somebody else has it."""
    try:
        async with tx.begin_nested():
            return await change_user(tx, user_id, now, email=email, email_verified_at=now)
    except IntegrityError:
        return None


async def own_personally(tx: Tx, organization_id: str, user_id: str) -> None:
    """The organization is the person's own."""
    statement = update(organizations).where(organizations.c.id == organization_id).values(personal_of=user_id)
    await tx.execute(statement)


async def personal_organization(tx: Tx, user_id: str) -> str | None:
    """The id of the person's own organization."""
    return await tx.scalar(select(organizations.c.id).where(organizations.c.personal_of == user_id))


async def lock_user(tx: Tx, user_id: str) -> None:
    """One at a time may change what depends on all of the person's rows, until the transaction ends."""
    await tx.execute(select(users.c.id).where(users.c.id == user_id).with_for_update())


async def set_status(tx: Tx, user_id: str, status: str, now: datetime) -> bool:
    """True when this changed something; an erased account stays erased."""
    statement = (
        update(users)
        .where(users.c.id == user_id, users.c.status.not_in((status, "erased")))
        .values(status=status, updated_at=now, version=users.c.version + 1)
    )
    return (await tx.execute(statement)).rowcount == 1


async def save_person_key(tx: Tx, user_id: str, sealed: bytes) -> None:
    """Keeps the key that seals the person's data in events; one that is there stays."""
    await tx.execute(insert(person_keys).values(user_id=user_id, sealed=sealed).on_conflict_do_nothing())


async def sealed_person_keys(tx: Tx, user_ids: Collection[str]) -> Mapping[str, bytes]:
    """The sealed keys of these people; who was erased has none."""
    rows = await tx.execute(
        select(person_keys.c.user_id, person_keys.c.sealed).where(person_keys.c.user_id.in_(sorted(user_ids)))
    )
    return {row.user_id: row.sealed for row in rows}
