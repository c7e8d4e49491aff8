"""Cursors: signed, keyset, bound to the listing and its filters; and numbered pages where totals are cheap."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, Field
from starlette.datastructures import URL
from starlette.requests import Request

from api.core.request_ids import context_of
from contracts.errors import Invalid, Problem
from infra.postgres.listing import Window

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100
_SIGNATURE_BYTES: Final = 16
_PAGING: Final = ("cursor", "limit", "page", "per_page")

Row = TypeVar("Row")


class Pagination(BaseModel):
    """Where the page stands in its list. `next_cursor` null: this was the last page. By `page`: with the totals."""

    limit: int = Field(examples=[20])
    has_more: bool = Field(examples=[True])
    next_cursor: str | None = Field(examples=["WyIyMDI2LTExLTIz..."])
    page: int | None = Field(default=None, examples=[1])
    total: int | None = Field(default=None, examples=[42])
    total_pages: int | None = Field(default=None, examples=[3])


@dataclass(frozen=True, slots=True)
class Page:
    """What part of a list is wanted: `limit` rows after the position (None: from the start), or page `number`."""

    limit: int
    after: tuple[Any, ...] | None
    listing: str
    secret: bytes
    number: int | None = None

    @property
    def window(self) -> Window:
        """The same for a list that begins with the newest row."""
        skipped = 0 if self.number is None else (self.number - 1) * self.limit
        return Window(self.fetch, self.after, skipped, self.number is not None)

    @property
    def fetch(self) -> int:
        """How many rows to read: one more than are shown tells whether there are more."""
        return self.limit + 1

    def cut(
        self, rows: Sequence[Row], position: Callable[[Row], Sequence[Any]], *, total: int | None = None
    ) -> tuple[Sequence[Row], Pagination]:
        """The rows to show and the pagination; `position` gives the sort key of a row (str, int, datetime).

        `total`: of all rows; needed by numbered pages. Raises: Invalid for a page behind the last.
        """
        shown = rows[: self.limit]
        more = len(rows) > self.limit
        cursor = sign(self.secret, self.listing, position(shown[-1])) if more else None
        pagination = Pagination(limit=self.limit, has_more=more, next_cursor=cursor)
        return shown, pagination if self.number is None else pagination.model_copy(update=self._totals(total or 0))

    def _totals(self, total: int) -> dict[str, int]:
        number, pages = self.number or 1, max(1, -(-total // self.limit))
        if number > pages:
            problem = Problem("/query/page", "out_of_range", f"the last page is {pages}")
            raise Invalid(f"There is no page {number}; the last is {pages}.", problems=(problem,))
        return {"page": number, "total": total, "total_pages": pages}


async def page_of(
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


async def numbered_page_of(
    cursored: PageIn,
    page: Annotated[int | None, Query(ge=1, le=1_000_000, description="Number of the page, with totals")] = None,
    per_page: Annotated[int | None, Query(ge=1, le=MAX_LIMIT, description="Rows on a numbered page")] = None,
) -> Page:
    """The page by number when `page` or `per_page` is sent, else by cursor. Raises: Invalid for both at once.

    `limit` stands in for `per_page`: generated clients send its default along.
    """
    if page is None and per_page is None:
        return cursored
    if cursored.after is not None:
        problem = Problem("/query/cursor", "paging", "goes without page and per_page")
        raise Invalid("Page by cursor, or by page and per_page, not by both.", problems=(problem,))
    return replace(cursored, limit=per_page or cursored.limit, number=page or 1)


NumberedPageIn = Annotated[Page, Depends(numbered_page_of)]
"""For lists whose total is cheap: their rows are bounded, or counted by an index."""


def link_header(url: URL, pagination: Pagination) -> str:
    """RFC 8288: the next page; of numbered pages also first, prev and last. Empty when there is nowhere to go.

    References are relative: behind a proxy neither the scheme nor the host that we see is the client's.
    """
    links = []
    if pagination.page is None:
        if pagination.next_cursor:
            links.append(("next", url.include_query_params(cursor=pagination.next_cursor)))
    else:
        last = pagination.total_pages or 1
        places = {"first": 1, "prev": pagination.page - 1, "next": pagination.page + 1, "last": last}
        links += [(rel, url.include_query_params(page=at)) for rel, at in places.items() if 1 <= at <= last]
    return ", ".join(f'<{address.path}?{address.query}>; rel="{rel}"' for rel, address in links)


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
    filters = sorted((k, v) for k, v in request.query_params.multi_items() if k not in _PAGING)
    return json.dumps([request.url.path, principal.organization_id if principal else None, filters])


def _plain(part: Any) -> Any:
    return {"t": part.astimezone(UTC).isoformat()} if isinstance(part, datetime) else part


def _rich(part: Any) -> Any:
    return datetime.fromisoformat(part["t"]) if isinstance(part, dict) else part
