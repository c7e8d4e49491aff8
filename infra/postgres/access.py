"""What somebody may do, as stored: sessions with their people, assignments, roles."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, select

from contracts.rules.access import Role
from infra.postgres.database import Tx
from infra.postgres.tables.credentials import sessions
from infra.postgres.tables.identity import memberships, organizations, role_assignments, roles, users


class MemberSession(NamedTuple):
    """A session that goes on, of an active person who is a member of the organization; `policy` is the
    organization's."""

    id: str
    user_id: str
    authenticated_at: datetime
    methods: Sequence[str]
    elevated_until: datetime | None
    expires_at: datetime
    last_used_at: datetime
    policy: Mapping[str, Any]


class Assignment(NamedTuple):
    """A role of a member; `team_id` '' is the whole organization."""

    role_id: str
    team_id: str


async def member_session(
    tx: Tx, session_id: str, user_id: str, organization_id: str, now: datetime
) -> MemberSession | None:
    """The session; None when it has ended, or the person is not (or no longer) an active member."""
    statement = (
        select(
            sessions.c.id,
            sessions.c.user_id,
            sessions.c.authenticated_at,
            sessions.c.methods,
            sessions.c.elevated_until,
            sessions.c.expires_at,
            sessions.c.last_used_at,
            organizations.c.policy,
        )
        .join(users, users.c.id == sessions.c.user_id)
        .join(memberships, memberships.c.user_id == sessions.c.user_id)
        .join(organizations, organizations.c.id == memberships.c.organization_id)
        .where(
            sessions.c.id == session_id,
            sessions.c.user_id == user_id,
            sessions.c.ended_at.is_(None),
            sessions.c.expires_at > now,
            users.c.status == "active",
            memberships.c.organization_id == organization_id,
        )
    )
    row = (await tx.execute(statement)).one_or_none()
    return MemberSession(*row) if row else None


async def assignments(tx: Tx, organization_id: str, user_id: str) -> list[Assignment]:
    """The member's roles."""
    mine = and_(role_assignments.c.organization_id == organization_id, role_assignments.c.user_id == user_id)
    rows = await tx.execute(select(role_assignments.c.role_id, role_assignments.c.team_id).where(mine))
    return [Assignment(*row) for row in rows]


async def custom_roles(tx: Tx, organization_id: str) -> dict[str, Role]:
    """The roles that the organization made, by id."""
    columns = (roles.c.id, roles.c.name, roles.c.description, roles.c.permissions, roles.c.inherits)
    rows = await tx.execute(select(*columns).where(roles.c.organization_id == organization_id))
    return {
        row.id: Role(row.id, row.name, row.description, frozenset(row.permissions), tuple(row.inherits)) for row in rows
    }
