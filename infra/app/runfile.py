"""`run.json`: where the running stack of a data directory is; there only while it runs."""

import os
from pathlib import Path
from typing import Any

import orjson

from contracts.errors import ConfigError

NAME = "run.json"


def write(home: Path, content: dict[str, Any]) -> None:
    """Writes it, readable by the owner only, in one step."""
    write_private(home / NAME, orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")


def remove(home: Path) -> None:
    """Takes it away at a clean stop."""
    (home / NAME).unlink(missing_ok=True)


def read(home: Path) -> dict[str, Any]:
    """What the running stack wrote. Raises: ConfigError when nothing runs there."""
    try:
        content: dict[str, Any] = orjson.loads((home / NAME).read_bytes())
        os.kill(content["pid"], 0)
    except (FileNotFoundError, ProcessLookupError):
        raise ConfigError(f"nothing runs on {home}: start it with `aihub up --home {home}`") from None
    return content


def write_private(path: Path, content: bytes) -> None:
    """Replaces a file in one step; mode 0600 from its first byte on."""
    draft = path.with_name(path.name + ".tmp")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
