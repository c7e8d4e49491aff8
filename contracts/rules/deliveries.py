"""When a webhook is tried again, what an answer means, and when an endpoint is left alone for a while."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

MINUTE_S: Final = 60
HOUR_S: Final = 3600

RETRY_DELAYS_S: Final = (
    0,
    5,
    5 * MINUTE_S,
    30 * MINUTE_S,
    2 * HOUR_S,
    5 * HOUR_S,
    10 * HOUR_S,
    14 * HOUR_S,
    20 * HOUR_S,
    24 * HOUR_S,
)
"""Before the first attempt, the second, ...: as many attempts as there are delays, then the delivery is dead."""

JITTER: Final = 0.2
FIRST_RETRY_AFTER_TIMEOUT_S: Final = MINUTE_S
LONGEST_RETRY_AFTER_S: Final = 24 * HOUR_S

DISABLE_AFTER: Final = timedelta(days=5)
DISABLE_FAILURES: Final = 50
"""An endpoint that has failed for so long and so often is switched off (infra.postgres.webhooks_results)."""


class Outcome(StrEnum):
    """What became of one attempt."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    THROTTLED = "throttled"
    GONE = "gone"


def outcome_of(status: int | None, *, timed_out: bool = False) -> Outcome:
    """What an answer means: 2xx succeeds, 410 is for good, 429 and 503 may say when; all else fails, redirects too."""
    if status is None:
        return Outcome.TIMED_OUT if timed_out else Outcome.FAILED
    if 200 <= status < 300:
        return Outcome.SUCCEEDED
    if status == 410:
        return Outcome.GONE
    return Outcome.THROTTLED if status in (429, 503) else Outcome.FAILED


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3: seconds or a date), 0 to 24 h; None if unclear."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:9]), LONGEST_RETRY_AFTER_S))
    try:
        at = parsedate_to_datetime(text)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        wait_s = (at - now).total_seconds()
    except (ValueError, OverflowError):  # a year, an hour or a zone beyond what a date can hold
        return None
    return min(max(wait_s, 0.0), float(LONGEST_RETRY_AFTER_S))


def next_attempt(
    made: int,
    outcome: Outcome,
    now: datetime,
    chance: float,
    *,
    wait_s: float | None = None,
    delays_s: Sequence[int] = RETRY_DELAYS_S,
) -> datetime | None:
    """When to try again after `made` attempts, the last of which ended as `outcome` at `now`; None: never, it is dead.

    `chance` in [0, 1) places it within ±20 % of the schedule. `wait_s` (Retry-After) only ever lengthens.
    """
    if outcome in (Outcome.SUCCEEDED, Outcome.GONE) or made >= len(delays_s):
        return None
    delay = delays_s[made] * (1 - JITTER + 2 * JITTER * chance)
    if outcome is Outcome.TIMED_OUT:
        delay = max(delay, FIRST_RETRY_AFTER_TIMEOUT_S)
    if outcome is Outcome.THROTTLED and wait_s is not None:
        delay = max(delay, wait_s)
    return now + timedelta(seconds=delay)


BREAKER_WINDOW_S: Final = 300.0
BREAKER_BUCKET_S: Final = 30.0
BREAKER_MINIMUM: Final = 10
BREAKER_SHARE: Final = 0.7
BREAKER_OPEN_S: Final = 30.0
BREAKER_LONGEST_S: Final = 900.0


@dataclass(slots=True)
class Breaker:
    """Leaves a failing endpoint alone: open after 70 % of at least 10 attempts in 5 minutes failed.

    Open for 30 s, twice as long each time it fails its trial, at most 15 minutes; one success closes it.
    Times are seconds of any clock that does not go back. Holds state, but no clock of its own.
    """

    trips: int = 0
    open_until: float | None = None
    _counts: deque[list[float]] = field(default_factory=deque)

    def admits(self, at: float, in_flight: int = 0) -> bool:
        """Whether an attempt may start: always when closed; one at a time for a trial once the pause is over."""
        if self.open_until is None:
            return True
        return at >= self.open_until and in_flight == 0

    def record(self, at: float, *, succeeded: bool) -> None:
        """An attempt ended. Attempts that were under way when it opened do not open it further."""
        if self.open_until is not None:
            if succeeded:
                self._close()
            elif at >= self.open_until:
                self.trip(at)
            return
        self._count(at, succeeded)
        total = sum(bucket[1] for bucket in self._counts)
        failed = sum(bucket[2] for bucket in self._counts)
        if not succeeded and total >= BREAKER_MINIMUM and failed / total >= BREAKER_SHARE:
            self.trip(at)

    def _count(self, at: float, succeeded: bool) -> None:
        while self._counts and self._counts[0][0] <= at - BREAKER_WINDOW_S:
            self._counts.popleft()
        if not self._counts or self._counts[-1][0] <= at - BREAKER_BUCKET_S:
            self._counts.append([at, 0, 0])
        self._counts[-1][1] += 1
        self._counts[-1][2] += not succeeded

    def trip(self, at: float) -> None:
        """Opens it, for twice as long as the last time."""
        self.open_until = at + min(BREAKER_OPEN_S * 2**self.trips, BREAKER_LONGEST_S)
        self.trips = min(self.trips + 1, 16)
        self._counts.clear()

    def _close(self) -> None:
        self.trips, self.open_until = 0, None
        self._counts.clear()
