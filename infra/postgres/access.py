"""What somebody may do, as stored: sessions with their people, assignments, roles."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, and_, exists, literal, or_, select, union

from contracts.rules.access import OWNER_ROLE, Assigned, Role
from infra.postgres.database import Tx
from infra.postgres.tables.credentials import passkeys, sessions, totp_secrets
from infra.postgres.tables.identity import (
    api_keys,
    invitations,
    memberships,
    organizations,
    role_assignments,
    roles,
    teams,
    users,
)
from infra.postgres.tables.webhooks import webhook_endpoints

_RESOURCES: Final[Mapping[str, tuple[ColumnElement[Any], ColumnElement[Any]]]] = {
    "inv": (invitations.c.id, invitations.c.organization_id),
    "key": (api_keys.c.id, api_keys.c.organization_id),
    "org": (organizations.c.id, organizations.c.id),
    "role": (roles.c.id, roles.c.organization_id),
    "team": (teams.c.id, teams.c.organization_id),
    "user": (memberships.c.user_id, memberships.c.organization_id),
    "we": (webhook_endpoints.c.id, webhook_endpoints.c.organization_id),
}
"""What a resource's id begins with, the column of its id and that of its organization."""

RESOURCE_KINDS: Final = tuple(_RESOURCES)

_TOTP: Final = exists().where(totp_secrets.c.user_id == sessions.c.user_id, totp_secrets.c.confirmed_at.is_not(None))
_PASSKEY: Final = exists().where(passkeys.c.user_id == sessions.c.user_id)


class MemberSession(NamedTuple):
    """A session that goes on, of an active person who is a member of the organization; `policy` is the
    organization's, `has_factor` whether a second factor is set up."""

    id: str
    user_id: str
    authenticated_at: datetime
    methods: Sequence[str]
    elevated_until: datetime | None
    expires_at: datetime
    last_used_at: datetime
    policy: Mapping[str, Any]
    has_factor: bool


class Membership(NamedTuple):
    """How somebody stands in an organization; `policy` is the organization's."""

    status: str
    owner: bool
    policy: Mapping[str, Any]


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
            or_(_TOTP, _PASSKEY),
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


async def membership(tx: Tx, organization_id: str, user_id: str) -> Membership | None:
    """How the person stands in the organization; None when they do not belong to it."""
    statement = (
        select(users.c.status, memberships.c.owner, organizations.c.policy)
        .join(users, users.c.id == memberships.c.user_id)
        .join(organizations, organizations.c.id == memberships.c.organization_id)
        .where(memberships.c.organization_id == organization_id, memberships.c.user_id == user_id)
    )
    row = (await tx.execute(statement)).one_or_none()
    return Membership(*row) if row else None


async def assignments(tx: Tx, organization_id: str, user_id: str) -> list[Assigned]:
    """The member's roles; an owner has OWNER_ROLE, assigned or not."""
    mine = and_(role_assignments.c.organization_id == organization_id, role_assignments.c.user_id == user_id)
    member = and_(memberships.c.organization_id == organization_id, memberships.c.user_id == user_id)
    query = union(
        select(role_assignments.c.role_id, role_assignments.c.team_id).where(mine),
        select(literal(OWNER_ROLE), literal("")).where(member, memberships.c.owner),
    )
    return [Assigned(*row) for row in await tx.execute(query)]


async def custom_roles(tx: Tx, organization_id: str) -> dict[str, Role]:
    """The roles that the organization made, by id."""
    columns = (roles.c.id, roles.c.name, roles.c.description, roles.c.permissions, roles.c.inherits)
    rows = await tx.execute(select(*columns).where(roles.c.organization_id == organization_id))
    return {
        row.id: Role(row.id, row.name, row.description, frozenset(row.permissions), tuple(row.inherits)) for row in rows
    }


async def resource_exists(tx: Tx, organization_id: str, resource_id: str) -> bool:
    """Whether the organization has the resource; its kind is one of RESOURCE_KINDS."""
    id_column, owner = _RESOURCES[resource_id.partition("_")[0]]
    return bool(await tx.scalar(select(exists().where(id_column == resource_id, owner == organization_id))))
