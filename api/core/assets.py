"""Files that pages load, from folders beside the code that shows the pages."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from api.core.etags import not_modified, unchanged
from api.core.request_ids import context_of
from contracts.errors import NotFound

KEPT: Final = b"public, max-age=3600"
_MEDIA_TYPES: Final = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
MEDIA_TYPES: Final = tuple(_MEDIA_TYPES.values())


class Asset(NamedTuple):
    """A file, its media type and its strong entity tag."""

    body: bytes
    media_type: str
    etag: str


def serve(request: Request, folder: Path, name: str) -> Response:
    """The folder's file of this name. Raises: NotFound, Malformed (a broken If-None-Match)."""
    found = _all(folder).get(name)
    if found is None:
        raise NotFound(f"There is no asset {name}.")
    context_of(request).cache_control = KEPT
    if not_modified(request, found.etag):
        return unchanged(found.etag)
    return Response(found.body, headers={"ETag": found.etag}, media_type=found.media_type)


@cache
def _all(folder: Path) -> dict[str, Asset]:
    files = (path for path in folder.iterdir() if path.suffix in _MEDIA_TYPES)
    return {path.name: _read(path) for path in files}


def _read(path: Path) -> Asset:
    body = path.read_bytes()
    return Asset(body, _MEDIA_TYPES[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')
