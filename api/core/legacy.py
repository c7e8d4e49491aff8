"""Paths of before `/v1`: they answer as their successors do, and say until when."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from starlette.types import Scope

SUCCESSORS: Final = (
    ("/api/mcp/v1/", "/v1/mcp/"),
    ("/api/v1/", "/v1/"),
    ("/api/", "/v1/"),
)
"""(how an old path begins, how its successor does); the first that fits counts."""

DEPRECATED: Final = datetime(2026, 11, 25, tzinfo=UTC)
SUNSET: Final = datetime(2027, 11, 30, tzinfo=UTC)

_ALWAYS: Final = [
    (b"deprecation", b"@%d" % int(DEPRECATED.timestamp())),  # RFC 9745: a date of RFC 9651
    (b"sunset", format_datetime(SUNSET, usegmt=True).encode()),  # RFC 8594: an HTTP date
]


def successor(scope: Scope) -> Scope | None:
    """The request as if it had been sent to the successor; None for a path that is no old one."""
    path: str = scope["path"]
    for old, new in SUCCESSORS:
        if path.startswith(old):
            raw = scope.get("raw_path") or path.encode()
            return {**scope, "path": new + path[len(old) :], "raw_path": new.encode() + raw[len(old) :]}
    return None


def headers_of(scope: Scope) -> list[tuple[bytes, bytes]]:
    """What the answer of an old path says of itself, for the scope of its successor."""
    return [*_ALWAYS, (b"link", b'<%s>; rel="successor-version"' % scope["raw_path"])]
