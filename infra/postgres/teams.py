"""Teams and who is in them."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert

from infra.postgres.database import Tx
from infra.postgres.listing import Window, newest_first
from infra.postgres.tables.identity import team_members, teams, users


class TeamRow(NamedTuple):
    """One team."""

    id: str
    organization_id: str
    name: str
    created_at: datetime
    updated_at: datetime
    version: int = 1


class TeamMemberRow(NamedTuple):
    """A member of a team."""

    user_id: str
    email: str | None
    name: str | None
    joined_at: datetime


_COLUMNS = [teams.c[name] for name in TeamRow._fields]


async def save_team(tx: Tx, team: TeamRow) -> bool:
    """True when it is new, False when the organization has a team of this name (nothing changes then)."""
    return (await tx.execute(insert(teams).values(**team._asdict()).on_conflict_do_nothing())).rowcount == 1


async def find_team(tx: Tx, organization_id: str, team_id: str, *, lock: bool = False) -> TeamRow | None:
    """The organization's team; None when it has none of this id. `lock`: nobody changes it until the commit."""
    query = select(*_COLUMNS).where(*_one(organization_id, team_id))
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    return TeamRow(*row) if row else None


async def list_teams(
    tx: Tx,
    organization_id: str,
    *,
    only: Collection[str] | None,
    window: Window,
) -> tuple[list[TeamRow], int | None]:
    """The teams, the newest first, and how many there are; `only` these unless None."""
    query = select(*_COLUMNS).where(teams.c.organization_id == organization_id)
    if only is not None:
        query = query.where(teams.c.id.in_(sorted(only)))
    rows, total = await newest_first(tx, query, (teams.c.created_at, teams.c.id), window)
    return [TeamRow(*row) for row in rows], total


async def rename_team(tx: Tx, organization_id: str, team_id: str, name: str, now: datetime) -> TeamRow:
    """The team under its new name; it is there, and locked."""
    statement = (
        update(teams)
        .where(*_one(organization_id, team_id))
        .values(name=name, updated_at=now, version=teams.c.version + 1)
        .returning(*_COLUMNS)
    )
    return TeamRow(*(await tx.execute(statement)).one())


async def name_is_taken(tx: Tx, organization_id: str, name: str, *, besides: str) -> bool:
    """Whether another team of the organization has this name."""
    query = select(
        exists().where(teams.c.organization_id == organization_id, teams.c.name == name, teams.c.id != besides)
    )
    return bool(await tx.scalar(query))


async def delete_team(tx: Tx, organization_id: str, team_id: str) -> None:
    """The team is gone, and with it who was in it."""
    await tx.execute(delete(teams).where(*_one(organization_id, team_id)))


async def join_team(tx: Tx, organization_id: str, team_id: str, user_id: str, now: datetime) -> bool:
    """True when the member was not in the team."""
    row = {"organization_id": organization_id, "team_id": team_id, "user_id": user_id, "joined_at": now}
    return (await tx.execute(insert(team_members).values(**row).on_conflict_do_nothing())).rowcount == 1


async def leave_team(tx: Tx, organization_id: str, team_id: str, user_id: str) -> bool:
    """True when the member was in the team."""
    statement = delete(team_members).where(
        team_members.c.organization_id == organization_id,
        team_members.c.team_id == team_id,
        team_members.c.user_id == user_id,
    )
    return (await tx.execute(statement)).rowcount == 1


async def list_team_members(
    tx: Tx, organization_id: str, team_id: str, window: Window
) -> tuple[list[TeamMemberRow], int | None]:
    """Who is in the team, the newest first, and how many there are."""
    query = (
        select(team_members.c.user_id, users.c.email, users.c.name, team_members.c.joined_at)
        .join(users, users.c.id == team_members.c.user_id)
        .where(team_members.c.organization_id == organization_id, team_members.c.team_id == team_id)
    )
    rows, total = await newest_first(tx, query, (team_members.c.joined_at, team_members.c.user_id), window)
    return [TeamMemberRow(*row) for row in rows], total


def _one(organization_id: str, team_id: str) -> tuple[Any, ...]:
    return teams.c.organization_id == organization_id, teams.c.id == team_id
