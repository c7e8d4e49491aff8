"""Everything that is kept about a person, to be handed out (GDPR, article 15) or erased (article 17)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping, Table, delete, func, or_, select, update

from infra.postgres.database import Tx
from infra.postgres.tables import credentials as c
from infra.postgres.tables import identity as i
from infra.postgres.tables.idempotency import idempotency_keys
from infra.postgres.tables.trails import audit_trail

TOLD: Final[dict[str, tuple[Table, Sequence[str]]]] = {
    "organizations": (i.memberships, ("organization_id", "owner", "joined_at")),
    "roles": (i.role_assignments, ("organization_id", "role_id", "team_id", "assigned_by", "assigned_at")),
    "teams": (i.team_members, ("organization_id", "team_id", "joined_at")),
    "sessions": (c.sessions, ("id", "methods", "device", "address", "created_at", "last_used_at", "ended_at")),
    "passkeys": (c.passkeys, ("id", "name", "created_at", "last_used_at")),
    "totp": (c.totp_secrets, ("created_at", "confirmed_at")),
    "recovery_codes": (c.recovery_codes, ("created_at", "used_at")),
    "devices": (c.devices, ("name", "created_at", "last_used_at", "trusted_until")),
    "linked_identities": (c.linked_identities, ("provider", "issuer", "subject", "email", "linked_at")),
}
"""What is handed out of each table; secrets and hashes are not."""

DESTROYED: Final = (
    c.passkeys, c.totp_secrets, c.recovery_codes, c.devices, c.linked_identities, c.challenges, i.person_keys,
)  # fmt: skip


async def rows_about(tx: Tx, table: Table, columns: Sequence[str], user_id: str) -> list[dict[str, Any]]:
    """The person's rows, these columns."""
    statement = select(*(table.c[name] for name in columns)).where(table.c.user_id == user_id)
    return [dict(row) for row in (await tx.execute(statement)).mappings()]


async def keys_made_by(tx: Tx, user_id: str) -> list[dict[str, Any]]:
    """The API keys that the person made."""
    columns = (i.api_keys.c.id, i.api_keys.c.organization_id, i.api_keys.c.name, i.api_keys.c.created_at)
    statement = select(*columns).where(i.api_keys.c.created_by == user_id)
    return [dict(row) for row in (await tx.execute(statement)).mappings()]


async def events_about(tx: Tx, user_id: str, limit: int) -> Sequence[RowMapping]:
    """What the trails of all organizations say of the person, the newest first."""
    about = or_(audit_trail.c.actor == user_id, audit_trail.c.data["user_id"].astext == user_id)
    columns = ("organization_id", "event_type", "actor", "address", "occurred_at", "data")
    statement = select(*(audit_trail.c[name] for name in columns)).where(about)
    return (await tx.execute(statement.order_by(audit_trail.c.accepted_at.desc()).limit(limit))).mappings().all()


async def lock_owned(tx: Tx, user_id: str) -> None:
    """Until the commit nobody else changes rights in the organizations that the person owns (decision 0014)."""
    mine = select(i.memberships.c.organization_id).where(i.memberships.c.user_id == user_id, i.memberships.c.owner)
    ordered = select(i.organizations.c.id).where(i.organizations.c.id.in_(mine)).order_by(i.organizations.c.id)
    await tx.execute(ordered.with_for_update(key_share=True))


async def sole_owned(tx: Tx, user_id: str) -> list[str]:
    """Organizations with other members that would be left without an owner; their memberships are locked."""
    mine = select(i.memberships.c.organization_id).where(i.memberships.c.user_id == user_id, i.memberships.c.owner)
    locked = await tx.execute(
        select(i.memberships.c.organization_id, i.memberships.c.user_id, i.memberships.c.owner)
        .where(i.memberships.c.organization_id.in_(mine))
        .order_by(i.memberships.c.organization_id, i.memberships.c.user_id)
        .with_for_update()
    )
    others: dict[str, list[bool]] = {}
    for organization_id, member, owner in locked:
        if member != user_id:
            others.setdefault(organization_id, []).append(owner)
    return sorted(organization_id for organization_id, owners in others.items() if not any(owners))


async def erase_person(tx: Tx, user_id: str, email: str | None, now: datetime) -> None:
    """Nothing that names or identifies the person is left; ids, and sums by id, stay."""
    await tx.execute(delete(c.mails).where(func.lower(c.mails.c.recipient) == email))
    await tx.execute(delete(i.invitations).where(i.invitations.c.email == email))
    for table in DESTROYED:
        await tx.execute(delete(table).where(table.c.user_id == user_id))
    mine = select(c.sessions.c.id).where(c.sessions.c.user_id == user_id)
    await tx.execute(delete(c.refresh_tokens).where(c.refresh_tokens.c.session_id.in_(mine)))
    await tx.execute(
        update(c.sessions)
        .where(c.sessions.c.user_id == user_id, c.sessions.c.ended_at.is_(None))
        .values(ended_at=now, end_reason="erased")
    )
    await tx.execute(
        update(i.users)
        .where(i.users.c.id == user_id)
        .values(
            email=None, email_verified_at=None, name=None, password_hash=None, status="erased", updated_at=now,
            version=i.users.c.version + 1,
        )
    )  # fmt: skip


async def erase_personal_organization(tx: Tx, user_id: str, now: datetime) -> None:
    """The person's own organization loses its name and its keys; what it used and paid stays."""
    mine = select(i.organizations.c.id).where(i.organizations.c.personal_of == user_id)
    await tx.execute(delete(idempotency_keys).where(idempotency_keys.c.organization_id.in_(mine)))
    await tx.execute(
        update(i.api_keys)
        .where(i.api_keys.c.organization_id.in_(mine), i.api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    await tx.execute(
        update(i.organizations).where(i.organizations.c.personal_of == user_id).values(name="erased", updated_at=now)
    )


async def leave_everything(tx: Tx, user_id: str) -> list[str]:
    """The organizations that the person was a member of; roles and teams go with the memberships."""
    statement = (
        delete(i.memberships).where(i.memberships.c.user_id == user_id).returning(i.memberships.c.organization_id)
    )
    return sorted(await tx.scalars(statement))
