"""What identity needs no longer: used challenges, ended sessions, old windows of failures, devices of long ago."""

from datetime import timedelta
from typing import Final

from infra.clock import Clock
from infra.postgres import challenges, devices, login_failures, sessions
from infra.postgres.database import Database

CHALLENGES: Final = timedelta(hours=2)
"""Longer than the hour in which they are counted."""
SESSIONS: Final = timedelta(days=30)
"""So long an ended session's reused refresh token is still known for what it is."""
FAILURES: Final = timedelta(hours=2)
DEVICES: Final = timedelta(days=90)


async def forget_logins(database: Database, clock: Clock) -> None:
    """Forgets it. Raises: DatabaseUnavailable."""
    now = clock.now()
    async with database.unscoped() as tx:
        await challenges.purge(tx, now - CHALLENGES)
        await login_failures.purge(tx, now - FAILURES)
        await sessions.purge(tx, now - SESSIONS)
        await devices.purge(tx, now - DEVICES)
