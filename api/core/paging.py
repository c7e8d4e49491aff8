"""Cursors: signed, keyset, bound to the listing and its filters."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, Field
from starlette.requests import Request

from api.core.request_ids import context_of
from contracts.errors import Invalid, Problem

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100
_SIGNATURE_BYTES: Final = 16

Row = TypeVar("Row")


class Pagination(BaseModel):
    """Where the page stands in its list. `next_cursor` null: this was the last page."""

    limit: int = Field(examples=[20])
    has_more: bool = Field(examples=[True])
    next_cursor: str | None = Field(examples=["WyIyMDI2LTExLTIz..."])


@dataclass(frozen=True, slots=True)
class Page:
    """What part of a list is wanted: `limit` rows after the position (None: from the start)."""

    limit: int
    after: tuple[Any, ...] | None
    listing: str
    secret: bytes

    @property
    def fetch(self) -> int:
        """How many rows to read: one more than are shown tells whether there are more."""
        return self.limit + 1

    def cut(self, rows: Sequence[Row], position: Callable[[Row], Sequence[Any]]) -> tuple[Sequence[Row], Pagination]:
        """The rows to show and the pagination; `position` gives the sort key of a row (str, int, datetime)."""
        shown = rows[: self.limit]
        more = len(rows) > self.limit
        cursor = sign(self.secret, self.listing, position(shown[-1])) if more else None
        return shown, Pagination(limit=self.limit, has_more=more, next_cursor=cursor)


def page_of(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows on a page")] = DEFAULT_LIMIT,
    cursor: Annotated[
        str | None, Query(max_length=2000, description="`pagination.next_cursor` of the page before")
    ] = None,
) -> Page:
    """The page that the query asks for. Raises: Invalid for a cursor that is not ours or of another listing."""
    secret: bytes = request.app.state.deps.cursor_secret
    listing = _listing(request)
    after = None if cursor is None else open_cursor(secret, listing, cursor)
    return Page(limit, after, listing, secret)


PageIn = Annotated[Page, Depends(page_of)]


def sign(secret: bytes, listing: str, position: Sequence[Any]) -> str:
    """The position as an opaque text that only we can make."""
    body = json.dumps([_plain(part) for part in position], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_signature(secret, listing, body) + body).decode().rstrip("=")


def open_cursor(secret: bytes, listing: str, cursor: str) -> tuple[Any, ...]:
    """The position inside the cursor. Raises: Invalid."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        raw = b""
    signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(secret, listing, body)):
        problem = Problem("/query/cursor", "cursor", "is not a cursor of this listing with these filters")
        raise Invalid("The cursor does not belong to this listing; start again without it.", problems=(problem,))
    return tuple(_rich(part) for part in json.loads(body))


def _signature(secret: bytes, listing: str, body: bytes) -> bytes:
    return hmac.new(secret, listing.encode() + b"\0" + body, hashlib.sha256).digest()[:_SIGNATURE_BYTES]


def _listing(request: Request) -> str:
    """What the cursor is bound to: path, organization and filters."""
    principal = context_of(request).found.get("principal")
    filters = sorted((k, v) for k, v in request.query_params.multi_items() if k not in ("cursor", "limit"))
    return json.dumps([request.url.path, principal.organization_id if principal else None, filters])


def _plain(part: Any) -> Any:
    return {"t": part.astimezone(UTC).isoformat()} if isinstance(part, datetime) else part


def _rich(part: Any) -> Any:
    return datetime.fromisoformat(part["t"]) if isinstance(part, dict) else part
