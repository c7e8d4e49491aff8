"""The request id and what else is known of a request before it is routed."""

import re
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request

from api.core.room import Place
from infra.ids import new_id

KEY: Final = "aihub"
_SANE = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


@dataclass(slots=True)
class Context:
    """One request: its id, its headers (lower-case names; of a repeated header the last), the client's
    address, the route that took it."""

    request_id: str
    headers: dict[bytes, bytes]
    address: str = ""
    route: str = "other"
    unread_body: bool = False
    limit_headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    cache_control: bytes = b"no-store"
    place: Place | None = None
    found: dict[str, Any] = field(default_factory=dict)


def request_id_from(presented: bytes | None) -> str:
    """The caller's `X-Request-ID` when it is sane (1 to 128 of A-Z a-z 0-9 . _ : -), else a new one."""
    if presented is not None and _SANE.fullmatch(presented):
        return presented.decode()
    return new_id("req")


def context_of(request: Request) -> Context:
    """What the edge noted of this request."""
    context: Context = request.scope[KEY]
    return context
