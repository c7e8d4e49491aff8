"""Roles that organizations made; system roles stand in contracts/rules/access.py."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, exists, select, union_all, update
from sqlalchemy.dialects.postgresql import insert

from infra.postgres.database import Tx
from infra.postgres.tables.identity import invitations, role_assignments, roles


class RoleRow(NamedTuple):
    """One role as stored."""

    id: str
    organization_id: str
    name: str
    description: str
    permissions: Sequence[str]
    inherits: Sequence[str]
    created_at: datetime
    updated_at: datetime
    version: int = 1


_COLUMNS = [roles.c[name] for name in RoleRow._fields]


async def save_role(tx: Tx, role: RoleRow) -> bool:
    """True when it is new, False when the organization has a role of this name (nothing changes then)."""
    statement = insert(roles).values(**role._asdict()).on_conflict_do_nothing()
    return (await tx.execute(statement)).rowcount == 1


async def find_role(tx: Tx, organization_id: str, role_id: str) -> RoleRow | None:
    """The organization's role; None when it has none of this id."""
    row = (await tx.execute(select(*_COLUMNS).where(*_one(organization_id, role_id)))).one_or_none()
    return RoleRow(*row) if row else None


async def list_roles(tx: Tx, organization_id: str) -> Sequence[RoleRow]:
    """All of the organization's roles (there are few), by name."""
    query = select(*_COLUMNS).where(roles.c.organization_id == organization_id).order_by(roles.c.name, roles.c.id)
    return [RoleRow(*row) for row in await tx.execute(query)]


async def change_role(
    tx: Tx, organization_id: str, role_id: str, changes: Mapping[str, Any], now: datetime
) -> RoleRow | None:
    """The role after the change; None when there is none."""
    statement = (
        update(roles)
        .where(*_one(organization_id, role_id))
        .values(**changes, updated_at=now, version=roles.c.version + 1)
        .returning(*_COLUMNS)
    )
    row = (await tx.execute(statement)).one_or_none()
    return RoleRow(*row) if row else None


async def delete_role(tx: Tx, organization_id: str, role_id: str) -> None:
    """The role is gone."""
    await tx.execute(delete(roles).where(*_one(organization_id, role_id)))


async def uses_of_role(tx: Tx, organization_id: str, role_id: str, now: datetime) -> Sequence[str]:
    """Who keeps the role from being deleted, some of them: members, roles that inherit it, open invitations."""
    assigned = select(role_assignments.c.user_id).where(
        role_assignments.c.organization_id == organization_id, role_assignments.c.role_id == role_id
    )
    inherited = select(roles.c.id).where(
        roles.c.organization_id == organization_id, roles.c.inherits.any_() == role_id, roles.c.id != role_id
    )
    invited = select(invitations.c.id).where(
        invitations.c.organization_id == organization_id,
        invitations.c.role_id == role_id,
        invitations.c.accepted_at.is_(None),
        invitations.c.revoked_at.is_(None),
        invitations.c.expires_at > now,
    )
    found = await tx.scalars(union_all(assigned.limit(5), inherited.limit(5), invited.limit(5)))
    return list(found)


async def name_is_taken(tx: Tx, organization_id: str, name: str, *, besides: str) -> bool:
    """Whether another role of the organization has this name."""
    query = select(
        exists().where(roles.c.organization_id == organization_id, roles.c.name == name, roles.c.id != besides)
    )
    return bool(await tx.scalar(query))


def _one(organization_id: str, role_id: str) -> tuple[Any, ...]:
    return roles.c.organization_id == organization_id, roles.c.id == role_id
