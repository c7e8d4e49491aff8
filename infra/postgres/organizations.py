"""Organizations: read, changed, and locked while the rights in them change."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from infra.postgres.database import Tx
from infra.postgres.keys import OrganizationRow
from infra.postgres.tables.identity import organizations

_COLUMNS = [organizations.c[name] for name in OrganizationRow._fields]


async def lock_organization(tx: Tx, organization_id: str) -> OrganizationRow | None:
    """The organization; until the commit nobody else changes it, its roles, owners, assignments or invitations.

    What only refers to it (a new key, say) does not wait.
    """
    query = select(*_COLUMNS).where(organizations.c.id == organization_id).with_for_update(key_share=True)
    row = (await tx.execute(query)).one_or_none()
    return OrganizationRow(*row) if row else None


async def find_organization(tx: Tx, organization_id: str) -> OrganizationRow | None:
    """The organization with this id."""
    row = (await tx.execute(select(*_COLUMNS).where(organizations.c.id == organization_id))).one_or_none()
    return OrganizationRow(*row) if row else None


async def change_organization(
    tx: Tx, organization_id: str, changes: Mapping[str, Any], now: datetime
) -> OrganizationRow | None:
    """The organization after the change; None when there is none."""
    version = organizations.c.version + 1
    statement = (
        update(organizations)
        .where(organizations.c.id == organization_id)
        .values(**changes, updated_at=now, version=version)
        .returning(*_COLUMNS)
    )
    row = (await tx.execute(statement)).one_or_none()
    return OrganizationRow(*row) if row else None
