"""PostgreSQL refuses to run as root: who it runs as, and the command prefix that makes it so."""

import fcntl
import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from infra.embedded.errors import EmbeddedError

ACCOUNT, FALLBACK_ACCOUNT = "aihub-postgres", "nobody"
USERADD = ("useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin")


@dataclass(frozen=True)
class ServerUser:
    """The user that PostgreSQL runs as; `prefix` goes before its command."""

    uid: int
    gid: int
    prefix: tuple[str, ...] = ()

    def own(self, *paths: Path) -> None:
        """Give `paths` to the user."""
        for path in paths:
            if path.stat().st_uid != self.uid:
                os.chown(path, self.uid, self.gid)


def server_user(data: Path) -> ServerUser:
    """The caller, unless that is root: then the owner of `data`, or an account of our own, made at the first call.

    Raises: EmbeddedError on macOS as root, where nothing can be kept of root's reach.
    """
    if os.geteuid() != 0:
        return ServerUser(os.geteuid(), os.getegid())
    if sys.platform != "linux":
        raise EmbeddedError("PostgreSQL cannot run as root here; start the program as an ordinary user")
    uid, gid = _owner(data) or _account()
    script = str(Path(__file__).with_name("unroot.py"))
    return ServerUser(uid, gid, (sys.executable, "-I", "-S", script, str(uid), str(gid)))


def _owner(data: Path) -> tuple[int, int] | None:
    if not data.exists() or data.stat().st_uid == 0:
        return None
    return data.stat().st_uid, data.stat().st_gid


def _account() -> tuple[int, int]:
    """Our own system account; where there is no useradd (small containers), nobody."""
    found = _named(ACCOUNT) or _made() or _named(FALLBACK_ACCOUNT)
    if found is None:
        raise EmbeddedError("PostgreSQL cannot run as root and there is no other account; start as an ordinary user")
    return found


def _named(account: str) -> tuple[int, int] | None:
    try:
        entry = pwd.getpwnam(account)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


def _made() -> tuple[int, int] | None:
    """Our account, made if nobody has by now; best effort.

    One process at a time: of two useradd at once both succeed, and the second's line replaces the first's,
    whose user id then belongs to nobody (shadow 4.13 looks for the name before it takes its lock).
    """
    folder = os.open("/etc", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if _named(ACCOUNT) is None:
            subprocess.run([*USERADD, ACCOUNT], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    finally:
        os.close(folder)
    return _named(ACCOUNT)
