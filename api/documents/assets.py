"""Files that the pages load; `assets/manifest.json` has origin, licence and SHA-256 of those that are not ours."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from contracts.errors import NotFound

FOLDER: Final = Path(__file__).with_name("assets")
_MEDIA_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".txt": "text/plain"}
MEDIA_TYPES: Final = tuple(_MEDIA_TYPES.values())


class Asset(NamedTuple):
    """A file, its media type and its strong entity tag."""

    body: bytes
    media_type: str
    etag: str


def asset(name: str) -> Asset:
    """The file of this name. Raises: NotFound."""
    found = _all().get(name)
    if found is None:
        raise NotFound(f"There is no asset {name}.")
    return found


@cache
def _all() -> dict[str, Asset]:
    files = (path for path in FOLDER.iterdir() if path.suffix in _MEDIA_TYPES)
    return {path.name: _read(path) for path in files}


def _read(path: Path) -> Asset:
    body = path.read_bytes()
    return Asset(body, _MEDIA_TYPES[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')
