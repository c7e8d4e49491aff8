"""Who belongs to an organization, and with which roles."""

from datetime import datetime

from sqlalchemy.dialects.postgresql import insert

from infra.postgres.database import Tx
from infra.postgres.tables.identity import memberships, role_assignments


async def save_member(tx: Tx, organization_id: str, user_id: str, *, owner: bool, now: datetime) -> bool:
    """True when they are new to the organization."""
    row = {"organization_id": organization_id, "user_id": user_id, "owner": owner, "joined_at": now}
    return (await tx.execute(insert(memberships).values(**row).on_conflict_do_nothing())).rowcount == 1


async def assign(
    tx: Tx, organization_id: str, user_id: str, role_id: str, *, team_id: str = "", by: str, now: datetime
) -> bool:
    """True when the member did not have the role there."""
    row = {"organization_id": organization_id, "user_id": user_id, "role_id": role_id, "team_id": team_id}
    statement = insert(role_assignments).values(**row, assigned_by=by, assigned_at=now).on_conflict_do_nothing()
    return (await tx.execute(statement)).rowcount == 1
