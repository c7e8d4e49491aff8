"""The home directory: everything that one stack keeps on disk, owned by one process at a time."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.embedded.errors import EmbeddedError

HOME_VERSION = 1
MIN_FREE_BYTES = 500_000_000
ROOMS = ("kafka", "postgres", "clickhouse", "logs")


@dataclass(frozen=True)
class Home:
    """An opened home directory; `root` is absolute and without symbolic links."""

    root: Path

    @property
    def kafka(self) -> Path:
        """What Kafka keeps."""
        return self.root / "kafka"

    @property
    def postgres(self) -> Path:
        """What PostgreSQL keeps."""
        return self.root / "postgres"

    @property
    def clickhouse(self) -> Path:
        """What ClickHouse keeps."""
        return self.root / "clickhouse"

    @property
    def logs(self) -> Path:
        """One log file per server."""
        return self.root / "logs"


@contextmanager
def open_home(path: Path) -> Iterator[Home]:
    """The home directory at `path`, made when missing, and no other process's until the block ends.

    A crash frees it: the claim is a file lock. A home of an older version is brought up to this one.

    Raises: EmbeddedError when it is in use, newer than this program, not writable or the disk is full.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        root = path.resolve()
        for room in ROOMS:
            (root / room).mkdir(mode=0o700, exist_ok=True)
        lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EmbeddedError(
            f"cannot use the data directory {path}: {error.strerror}; choose another with --home"
        ) from error
    try:
        _claim(lock, root)
        _check_version(root)
        _check_disk(root)
        yield Home(root)
    finally:
        os.close(lock)


def write_private(file: Path, text: str) -> None:
    """Replace `file` by `text` at once, readable by its owner only."""
    draft = file.with_name(file.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)


def _claim(lock: int, root: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
        raise EmbeddedError(
            f"data directory {root} is in use by process {holder}; stop it or choose another with --home"
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _check_version(root: Path) -> None:
    file = root / "version"
    try:
        found = int(file.read_text())
    except FileNotFoundError:
        write_private(file, f"{HOME_VERSION}\n")
        return
    except ValueError as error:
        raise EmbeddedError(f"{file} is not a number; restore the data directory from a backup") from error
    if found > HOME_VERSION:
        raise EmbeddedError(
            f"data directory {root} has version {found}, this program knows up to {HOME_VERSION}; "
            "use a newer program or another --home"
        )
    _migrate(root, found)


def _migrate(root: Path, found: int) -> None:
    """Bring a home of version `found` up to date; there is only one version so far."""
    if found != HOME_VERSION:
        write_private(root / "version", f"{HOME_VERSION}\n")


def _check_disk(root: Path) -> None:
    free = shutil.disk_usage(root).free
    if free < MIN_FREE_BYTES:
        raise EmbeddedError(
            f"disk is full: {free // 1_000_000} MB free at {root}, {MIN_FREE_BYTES // 1_000_000} MB needed; "
            "free some space or choose another directory with --home"
        )
