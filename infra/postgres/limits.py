"""Rate limits that hold across processes: one UPSERT takes from a subject's quota."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import case, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from infra.postgres.database import Tx
from infra.postgres.tables.identity import organizations
from infra.postgres.tables.limits import rate_limits


class Taken(NamedTuple):
    """What was granted of what was asked for, what is used of the quota now, and when the window began."""

    began_at: datetime
    used: int
    granted: int


async def take(tx: Tx, subject: str, now: datetime, window: timedelta, *, quota: int, amount: int = 1) -> Taken:
    """Takes up to `amount` from the subject's quota; a window that is over (or of the future: a clock was set back)
    begins anew. However many ask at once, a window never grants more than the quota."""
    old = rate_limits.c
    over = or_(old.began_at <= now - window, old.began_at > now + window)
    first = min(amount, quota)
    new = insert(rate_limits).values(subject=subject, began_at=now, used=first, granted=first)
    statement = new.on_conflict_do_update(
        index_elements=[old.subject],
        set_={
            "began_at": case((over, now), else_=old.began_at),
            "used": case((over, first), else_=func.greatest(old.used, func.least(old.used + amount, quota))),
            "granted": case((over, first), else_=func.greatest(0, func.least(amount, quota - old.used))),
        },
    ).returning(old.began_at, old.used, old.granted)
    return Taken(*(await tx.execute(statement)).one())


async def plan_of(tx: Tx, organization_id: str) -> str | None:
    """The organization's plan."""
    plan: str | None = await tx.scalar(select(organizations.c.plan).where(organizations.c.id == organization_id))
    return plan


async def purge(tx: Tx, before: datetime) -> int:
    """How many subjects whose window began before then were forgotten."""
    return (await tx.execute(delete(rate_limits).where(rate_limits.c.began_at < before))).rowcount
