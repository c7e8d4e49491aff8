"""How an answer says what is left of a limit: draft-ietf-httpapi-ratelimit-headers-10, and the older X-RateLimit-*."""

from datetime import datetime
from math import ceil

from contracts.rules.limits import WINDOW_S

Header = tuple[bytes, bytes]


def headers_of(limit: str, quota: int, remaining: int, ends_at: datetime, now: datetime) -> list[Header]:
    """`t` is in seconds; X-RateLimit-Reset is a Unix time, as those who use it expect."""
    remaining = max(0, remaining)
    return [
        (b"ratelimit-policy", f'"{limit}";q={quota};w={WINDOW_S}'.encode()),
        (b"ratelimit", f'"{limit}";r={remaining};t={seconds_until(ends_at, now)}'.encode()),
        (b"x-ratelimit-limit", b"%d" % quota),
        (b"x-ratelimit-remaining", b"%d" % remaining),
        (b"x-ratelimit-reset", b"%d" % ceil(ends_at.timestamp())),
    ]


def seconds_until(ends_at: datetime, now: datetime) -> int:
    """Whole seconds, rounded up, at least 1: whoever waits so long is let in."""
    return max(1, ceil((ends_at - now).total_seconds()))
