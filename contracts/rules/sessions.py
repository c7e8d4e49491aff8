"""How long a session lasts beside its 30 days: who may cross organizations, and who an organization says, less."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple


class Limits(NamedTuple):
    """After so long without a request, and so long after its log-in, a session is over; None: no such limit."""

    idle: timedelta | None
    life: timedelta | None


STAFF: Final = Limits(timedelta(hours=1), timedelta(hours=12))
"""Of everybody who holds a `system:` permission (OWASP ASVS 5.0, 7.3.1 and 7.3.2)."""
TOUCH_EVERY: Final = timedelta(minutes=1)
"""How exactly the last use is known."""


def limits(scopes: frozenset[str], policy: Mapping[str, Any]) -> Limits:
    """The tighter of what staff has and what the organization's policy says: `session_idle_minutes`,
    `session_max_hours`."""
    staff = STAFF if any(scope.startswith("system:") for scope in scopes) else Limits(None, None)
    return Limits(
        _tighter(staff.idle, _span(policy.get("session_idle_minutes"), timedelta(minutes=1))),
        _tighter(staff.life, _span(policy.get("session_max_hours"), timedelta(hours=1))),
    )


def is_over(limit: Limits, *, authenticated_at: datetime, last_used_at: datetime, now: datetime) -> bool:
    """Whether the session has reached one of its limits."""
    idle = limit.idle is not None and now - last_used_at > limit.idle
    return idle or (limit.life is not None and now - authenticated_at > limit.life)


def _span(count: object, unit: timedelta) -> timedelta | None:
    return count * unit if isinstance(count, int) and count > 0 else None


def _tighter(one: timedelta | None, other: timedelta | None) -> timedelta | None:
    return min((span for span in (one, other) if span is not None), default=None)
