"""Who belongs to an organization, and with which roles."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from infra.postgres.database import Tx
from infra.postgres.listing import Window, newest_first
from infra.postgres.tables.identity import memberships, organizations, role_assignments, team_members, users


class MemberRow(NamedTuple):
    """One member; `status` active, disabled or erased."""

    user_id: str
    email: str | None
    name: str | None
    status: str
    owner: bool
    joined_at: datetime


class AssignmentRow(NamedTuple):
    """A role of a member; `team_id` '' is the whole organization."""

    user_id: str
    role_id: str
    team_id: str
    assigned_by: str
    assigned_at: datetime


class MembershipRow(NamedTuple):
    """An organization that a person belongs to."""

    organization_id: str
    name: str
    owner: bool
    joined_at: datetime


_MEMBER = (
    memberships.c.user_id,
    users.c.email,
    users.c.name,
    users.c.status,
    memberships.c.owner,
    memberships.c.joined_at,
)
_ASSIGNMENT = [role_assignments.c[name] for name in AssignmentRow._fields]


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


async def unassign(tx: Tx, organization_id: str, user_id: str, role_id: str, *, team_id: str = "") -> bool:
    """True when the member had the role there."""
    statement = delete(role_assignments).where(
        role_assignments.c.organization_id == organization_id,
        role_assignments.c.user_id == user_id,
        role_assignments.c.role_id == role_id,
        role_assignments.c.team_id == team_id,
    )
    return (await tx.execute(statement)).rowcount == 1


async def unassign_team(tx: Tx, organization_id: str, team_id: str) -> None:
    """Nobody has a role in this team any more."""
    await tx.execute(
        delete(role_assignments).where(
            role_assignments.c.organization_id == organization_id, role_assignments.c.team_id == team_id
        )
    )


async def assignments_of(tx: Tx, organization_id: str, user_ids: Collection[str]) -> Sequence[AssignmentRow]:
    """The roles of these members, by role and team."""
    query = (
        select(*_ASSIGNMENT)
        .where(role_assignments.c.organization_id == organization_id, role_assignments.c.user_id.in_(sorted(user_ids)))
        .order_by(role_assignments.c.role_id, role_assignments.c.team_id)
    )
    return [AssignmentRow(*row) for row in await tx.execute(query)]


async def find_member(tx: Tx, organization_id: str, user_id: str) -> MemberRow | None:
    """The member; None when the person does not belong to the organization."""
    row = (await tx.execute(_members(organization_id).where(memberships.c.user_id == user_id))).one_or_none()
    return MemberRow(*row) if row else None


async def has_address(tx: Tx, organization_id: str, email: str) -> bool:
    """Whether a member has this address (lower case)."""
    return (await tx.execute(_members(organization_id).where(users.c.email == email).limit(1))).first() is not None


async def list_members(
    tx: Tx,
    organization_id: str,
    *,
    teams: Collection[str] | None,
    window: Window,
) -> tuple[list[MemberRow], int | None]:
    """The members, the newest first, and how many there are; only those of `teams` unless None."""
    query = _members(organization_id)
    if teams is not None:
        query = query.where(memberships.c.user_id.in_(_of_teams(organization_id, teams)))
    rows, total = await newest_first(tx, query, (memberships.c.joined_at, memberships.c.user_id), window)
    return [MemberRow(*row) for row in rows], total


async def is_in_teams(tx: Tx, organization_id: str, user_id: str, teams: Collection[str]) -> bool:
    """Whether the member is in one of these teams."""
    query = _of_teams(organization_id, teams).where(team_members.c.user_id == user_id).limit(1)
    return (await tx.execute(query)).first() is not None


async def remove_member(tx: Tx, organization_id: str, user_id: str) -> bool:
    """True when they were a member; their roles and places in teams go too."""
    statement = delete(memberships).where(
        memberships.c.organization_id == organization_id, memberships.c.user_id == user_id
    )
    return (await tx.execute(statement)).rowcount == 1


async def set_owner(tx: Tx, organization_id: str, user_id: str, owner: bool) -> bool:
    """True when this changed something."""
    statement = (
        update(memberships)
        .where(
            memberships.c.organization_id == organization_id,
            memberships.c.user_id == user_id,
            memberships.c.owner.is_not(owner),
        )
        .values(owner=owner)
    )
    return (await tx.execute(statement)).rowcount == 1


async def count_owners(tx: Tx, organization_id: str) -> int:
    """How many owners the organization has; ask with it locked."""
    query = (
        select(func.count())
        .select_from(memberships)
        .where(memberships.c.organization_id == organization_id, memberships.c.owner)
    )
    return await tx.scalar(query) or 0


async def memberships_of(tx: Tx, user_id: str) -> Sequence[MembershipRow]:
    """Every organization that the person belongs to, by name: needs an unscoped transaction."""
    query = (
        select(organizations.c.id, organizations.c.name, memberships.c.owner, memberships.c.joined_at)
        .join(organizations, organizations.c.id == memberships.c.organization_id)
        .where(memberships.c.user_id == user_id)
        .order_by(organizations.c.name, organizations.c.id)
    )
    return [MembershipRow(*row) for row in await tx.execute(query)]


def _members(organization_id: str) -> Select[Any]:
    return (
        select(*_MEMBER)
        .join(users, users.c.id == memberships.c.user_id)
        .where(memberships.c.organization_id == organization_id)
    )


def _of_teams(organization_id: str, teams: Collection[str]) -> Select[Any]:
    return select(team_members.c.user_id).where(
        team_members.c.organization_id == organization_id, team_members.c.team_id.in_(sorted(teams))
    )
