"""What ties a log-in to the browser that began it: a cookie, and paths that stay on this hub."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from contracts.errors import Invalid, Problem
from infra.crypto import new_secret

COOKIE: Final = "__Host-aihub-oauth"
"""`__Host-`: no other host, path or plain connection can set it (RFC 6265bis, section 4.1.3.2)."""
KEPT_S: Final = 3600
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_PATH: Final = re.compile(r"/(?![/\\])[\x21\x23-\x5b\x5d-\x7e]*")


def presented(request: Request) -> str | None:
    """The browser's secret."""
    found = request.cookies.get(COOKIE)
    return found if found is not None and _SECRET.fullmatch(found) else None


def secret_of(request: Request) -> str:
    """The browser's secret, or a fresh one: two log-ins in two tabs share it."""
    return presented(request) or new_secret()


def remember(response: Response, secret: str) -> Response:
    """The answer, with the cookie."""
    response.set_cookie(COOKIE, secret, max_age=KEPT_S, path="/", secure=True, httponly=True, samesite="lax")
    return response


def with_query(path: str, query: Mapping[str, str]) -> str:
    """The path with these in its query, before a fragment."""
    address, mark, fragment = path.partition("#")
    if query:
        address += ("&" if "?" in address else "?") + urlencode(query)
    return address + mark + fragment


def own_path(text: str | None) -> str | None:
    """A path of this hub, and nothing that a browser takes for another host. Raises: Invalid."""
    if text is None or _PATH.fullmatch(text):
        return text
    problem = Problem("/query/return_to", "return_to", "must be a path of this hub, such as /console")
    raise Invalid("return_to must be a path of this hub: it begins with one slash.", problems=(problem,))
