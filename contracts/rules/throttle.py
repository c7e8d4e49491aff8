"""How long somebody who failed to prove who they are must wait. Pure tables and functions.

Failures are counted by subject: an account, an address, a device that the account was used from before. A device has a
count of its own, so that failures from elsewhere never lock its owner out.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

WINDOW: Final = timedelta(hours=1)
MAX_FAILURES: Final = 10
"""In a window; the next try is after its end."""
DELAYS_S: Final = (0, 0, 1, 2, 4, 8, 15, 30, 60)
"""Seconds to wait after the first, second, third ... failure of a window; the tenth ends it."""


class Failures(NamedTuple):
    """What is remembered of a subject: so many failures since the window began; the next try may come at `next_at`."""

    failures: int
    since: datetime
    next_at: datetime


def failed(known: Failures | None, now: datetime) -> Failures:
    """What is remembered after one more failure, which came when it was allowed to."""
    if known is None or now >= known.since + WINDOW:
        known = Failures(0, now, now)
    count = known.failures + 1
    locked = count >= MAX_FAILURES
    next_at = known.since + WINDOW if locked else now + timedelta(seconds=DELAYS_S[count - 1])
    return Failures(count, known.since, next_at)


def wait(known: Failures | None, now: datetime) -> timedelta:
    """How long until the next try is looked at; zero: it may come now."""
    return timedelta(0) if known is None else max(known.next_at - now, timedelta(0))


def locks(known: Failures) -> bool:
    """Whether this failure was the last of its window."""
    return known.failures >= MAX_FAILURES
