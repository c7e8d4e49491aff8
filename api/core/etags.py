"""Entity tags (RFC 9110, sections 8.8.3 and 13): a strong tag for what is shown of a thing.

A tag stands for the answer's `data`, not for the `meta` around it, which differs in every answer.
"""

import hashlib
import re
from typing import Annotated, Any, Final

from fastapi import Depends
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from contracts.errors import Malformed, PreconditionFailed, Problem

_TAG: Final = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_LIST: Final = re.compile(rf"\s*(?:{_TAG.pattern})(?:\s*,\s*{_TAG.pattern})*\s*")


def etag_of(data: Any) -> str:
    """The strong tag of what is shown: any change of it is another tag."""
    return f'"{hashlib.blake2b(to_json(data), digest_size=12).hexdigest()}"'


class Precondition:
    """What the request's `If-Match` demands (nothing when it is not sent)."""

    def __init__(self, wanted: frozenset[str] | None) -> None:
        self._wanted = wanted

    def check(self, data: Any) -> None:
        """Returns when a thing that shows as `data` now may be changed; ask with its row locked.

        Raises: PreconditionFailed.
        """
        if self._wanted is not None and "*" not in self._wanted and etag_of(data) not in self._wanted:
            problem = Problem("/header/If-Match", "precondition_failed", f"the ETag is {etag_of(data)} now")
            message = "It was changed since you read it; read it again, and send the change with its new ETag."
            raise PreconditionFailed(message, problems=(problem,))


async def precondition_of(request: Request) -> Precondition:
    """The request's precondition. Raises: Malformed for an If-Match that is not `*` or a list of tags."""
    return Precondition(_tags(request, "if-match"))


PreconditionIn = Annotated[Precondition, Depends(precondition_of)]


def not_modified(request: Request, etag: str) -> bool:
    """Whether the caller has this version already (`If-None-Match`, compared weakly). Raises: Malformed."""
    known = _tags(request, "if-none-match")
    return known is not None and ("*" in known or etag in {tag.removeprefix("W/") for tag in known})


def unchanged(etag: str) -> Response:
    """304: what the caller has is still so."""
    return Response(status_code=304, headers={"ETag": etag})


def _tags(request: Request, header: str) -> frozenset[str] | None:
    values = request.headers.getlist(header)
    if not values:
        return None
    value = ", ".join(values).strip()
    if value == "*":
        return frozenset("*")
    if not _LIST.fullmatch(value):
        problem = Problem(f"/header/{header.title()}", "etag", "must be * or a list of entity tags in double quotes")
        raise Malformed(f"{header.title()} must be * or a list of entity tags.", problems=(problem,))
    return frozenset(found.group() for found in _TAG.finditer(value))
