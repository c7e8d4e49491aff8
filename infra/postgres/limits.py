"""Rate limits that hold across processes: one UPSERT takes from a subject's quota."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import delete, select

from infra.postgres.database import Database, Tx
from infra.postgres.tables.identity import organizations
from infra.postgres.tables.limits import rate_limits


class Taken(NamedTuple):
    """What was granted of what was asked for, what is used of the quota now, and when the window began."""

    began_at: datetime
    used: int
    granted: int


_TAKE: Final = """
    INSERT INTO rate_limits AS old (subject, began_at, used, granted)
    VALUES ($1, $2, least($5::bigint, $4::bigint), least($5, $4))
    ON CONFLICT (subject) DO UPDATE SET (began_at, used, granted) = (
        SELECT CASE WHEN over THEN $2 ELSE old.began_at END,
               CASE WHEN over THEN least($5, $4) ELSE greatest(old.used, least(old.used + $5, $4)) END,
               CASE WHEN over THEN least($5, $4) ELSE greatest(0, least($5, $4 - old.used)) END
        FROM (SELECT old.began_at <= $2 - $3::interval OR old.began_at > $2 + $3::interval AS over) AS window_)
    RETURNING began_at, used, granted
"""


async def take(
    database: Database, subject: str, now: datetime, window: timedelta, *, quota: int, amount: int = 1
) -> Taken:
    """Takes up to `amount` from the subject's quota; a window that is over (or of the future: a clock was set back)
    begins anew. However many ask at once, a window never grants more than the quota. Commits by itself."""
    row = await database.fetch_one(_TAKE, subject, now, window, quota, amount)
    assert row is not None  # an UPSERT returns its row
    return Taken(*row)


async def plan_of(tx: Tx, organization_id: str) -> str | None:
    """The organization's plan."""
    plan: str | None = await tx.scalar(select(organizations.c.plan).where(organizations.c.id == organization_id))
    return plan


async def purge(tx: Tx, before: datetime) -> int:
    """How many subjects whose window began before then were forgotten."""
    return (await tx.execute(delete(rate_limits).where(rate_limits.c.began_at < before))).rowcount
