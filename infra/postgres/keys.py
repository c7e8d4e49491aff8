"""Organizations and API keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from infra.postgres.database import Tx
from infra.postgres.listing import Window, newest_first
from infra.postgres.tables.identity import api_keys, organizations


class KeyRow(NamedTuple):
    """One API key as stored: its hash stays in the database."""

    id: str
    organization_id: str
    name: str
    hint: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    kind: str = "key"
    allowed_networks: Sequence[str] = ()
    created_by: str | None = None
    rotated_at: datetime | None = None
    previous_until: datetime | None = None
    last_used_at: datetime | None = None
    last_used_from: str | None = None
    version: int = 1


class OrganizationRow(NamedTuple):
    """One organization."""

    id: str
    name: str
    created_at: datetime
    personal_of: str | None = None
    policy: Mapping[str, Any] = {}
    plan: str = "unlimited"
    updated_at: datetime | None = None
    version: int = 1


_KEY = [api_keys.c[name] for name in KeyRow._fields]
_ORGANIZATION = [organizations.c[name] for name in OrganizationRow._fields]


async def find_key(tx: Tx, digest: bytes, now: datetime) -> KeyRow | None:
    """The key with this hash, or whose hash before its rotation this is, revoked or not."""
    before = and_(api_keys.c.previous_hash == digest, api_keys.c.previous_until > now)
    row = (await tx.execute(select(*_KEY).where(or_(api_keys.c.hash == digest, before)))).one_or_none()
    return KeyRow(*row) if row else None


async def organization_exists(tx: Tx, organization_id: str) -> bool:
    """Whether there is such an organization."""
    found = await tx.scalar(select(organizations.c.id).where(organizations.c.id == organization_id))
    return found is not None


async def save_organization(tx: Tx, organization: OrganizationRow) -> bool:
    """True when it is new, False when the id was there already (nothing changes then)."""
    statement = insert(organizations).values(**organization._asdict()).on_conflict_do_nothing()
    return (await tx.execute(statement)).rowcount == 1


async def save_key(tx: Tx, key: KeyRow, digest: bytes) -> bool:
    """True when it is new, False when this hash or id was there already (nothing changes then)."""
    statement = insert(api_keys).values(**key._asdict(), hash=digest).on_conflict_do_nothing()
    return (await tx.execute(statement)).rowcount == 1


async def find_key_of(tx: Tx, organization_id: str, key_id: str, *, lock: bool = False) -> KeyRow | None:
    """The organization's key; None when it has none of this id. `lock`: nobody changes it until the commit."""
    query = select(*_KEY).where(api_keys.c.id == key_id, api_keys.c.organization_id == organization_id)
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    return KeyRow(*row) if row else None


async def change_key(tx: Tx, organization_id: str, key_id: str, changes: Mapping[str, Any]) -> KeyRow:
    """The key after the change; it is there, and locked."""
    statement = (
        update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.organization_id == organization_id)
        .values(**changes, version=api_keys.c.version + 1)
        .returning(*_KEY)
    )
    return KeyRow(*(await tx.execute(statement)).one())


async def rotate_key(
    tx: Tx, organization_id: str, key_id: str, digest: bytes, hint: str, *, until: datetime, now: datetime
) -> KeyRow:
    """The key under its new hash; the one before works until then, one before that no more."""
    return await change_key(
        tx,
        organization_id,
        key_id,
        {"previous_hash": api_keys.c.hash, "previous_until": until, "hash": digest, "hint": hint, "rotated_at": now},
    )


async def revoke_key(tx: Tx, organization_id: str, key_id: str, now: datetime) -> KeyRow | None:
    """The key, revoked now or earlier; None when the organization has no such key."""
    mine = and_(api_keys.c.id == key_id, api_keys.c.organization_id == organization_id)
    await tx.execute(update(api_keys).where(mine, api_keys.c.revoked_at.is_(None)).values(revoked_at=now))
    row = (await tx.execute(select(*_KEY).where(mine))).one_or_none()
    return KeyRow(*row) if row else None


async def list_keys(tx: Tx, organization_id: str, window: Window) -> tuple[list[KeyRow], int | None]:
    """The organization's keys, the newest first, and how many there are."""
    query = select(*_KEY).where(api_keys.c.organization_id == organization_id)
    rows, total = await newest_first(tx, query, (api_keys.c.created_at, api_keys.c.id), window)
    return [KeyRow(*row) for row in rows], total


async def list_organizations(tx: Tx, *, only: str | None, window: Window) -> tuple[list[OrganizationRow], int | None]:
    """All organizations, or `only` one, the newest first, and how many there are."""
    query = select(*_ORGANIZATION)
    if only is not None:
        query = query.where(organizations.c.id == only)
    rows, total = await newest_first(tx, query, (organizations.c.created_at, organizations.c.id), window)
    return [OrganizationRow(*row) for row in rows], total
