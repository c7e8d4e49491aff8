"""Which organizations have lots that are due to begin or to end."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text

from infra.postgres.database import Tx


async def with_ended(tx: Tx, through: datetime, limit: int) -> Sequence[str]:
    """Organizations with open lots that ended at that instant or before."""
    rows = await tx.execute(
        text("SELECT DISTINCT organization_id FROM grants WHERE is_open AND expires_at <= :through LIMIT :limit"),
        {"through": through, "limit": limit},
    )
    return list(rows.scalars())


async def with_begun(tx: Tx, through: datetime, limit: int) -> Sequence[str]:
    """Organizations with open lots that have begun and did not have their turn at repaying debt yet."""
    rows = await tx.execute(
        text("""
            SELECT DISTINCT organization_id FROM grants
            WHERE is_open AND NOT settled AND effective_at <= :through LIMIT :limit
        """),
        {"through": through, "limit": limit},
    )
    return list(rows.scalars())
