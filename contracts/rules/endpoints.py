"""What a webhook endpoint may look like: its URL and the headers it may ask for."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from contracts import json_text
from contracts.errors import Problem

MAX_URL_LENGTH: Final = 2000
MAX_HEADERS: Final = 16
MAX_HEADER_VALUE: Final = 1024

# Only what every parser reads alike: no user part, no backslash, no space, no control or non-ASCII character.
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?"
    r"(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
)
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")

RESERVED_HEADERS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Hop-by-hop (RFC 9110, 7.6.1), or ours."""
RESERVED_PREFIXES: Final = ("webhook-", "svix-", "proxy-", ":")


def url_problem(url: str) -> str | None:
    """What is wrong with the URL's form; None when it can be read in one way only. Schemes: http and https."""
    if len(url) > MAX_URL_LENGTH:
        return f"is longer than {MAX_URL_LENGTH} characters"
    found = _URL.fullmatch(url)
    if found is None:
        return "is not a plain http(s) URL: no user, no fragment, ASCII only (write names as punycode)"
    if found["port"] is not None and not 1 <= int(found["port"]) <= 65_535:
        return "has a port that does not exist"
    return None


def host_of(url: str) -> str:
    """The URL's host, in lower case, IPv6 without brackets."""
    return urlsplit(url).hostname or ""


def header_problems(headers: Mapping[str, str], at: str = "/headers") -> tuple[Problem, ...]:
    """One problem for each header that an endpoint may not ask for."""
    if len(headers) > MAX_HEADERS:
        return (Problem(at, "too_many_headers", f"has more than {MAX_HEADERS} headers"),)
    found = ((name, _header_problem(name, value)) for name, value in headers.items())
    return tuple(Problem(at + json_text.pointer(name), "header", what) for name, what in found if what)


def _header_problem(name: str, value: str) -> str | None:
    lower = name.lower()
    if not _HEADER_NAME.fullmatch(name):
        return "is not a header name"
    if lower in RESERVED_HEADERS or lower.startswith(RESERVED_PREFIXES):
        return "is set by the hub or the connection and cannot be changed"
    if len(value) > MAX_HEADER_VALUE or not _HEADER_VALUE.fullmatch(value):
        return f"has a value that is not 1 to {MAX_HEADER_VALUE} visible ASCII characters"
    return None
