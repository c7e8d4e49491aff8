"""Engines on file systems of their own, which can be filled and emptied at a word: tmpfs mounts whose size changes."""

import asyncio
import ctypes
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.embedded.engines import Engines

ROOMY: Final = "2g"
"""A limit, not a use: PostgreSQL alone may keep 1 GB of its log."""
TRIES: Final = 50
CLONE_NEWNS: Final = 0x20000


@functools.cache
def why_not() -> str:
    """Why no disk can be filled here; empty where it can."""
    if sys.platform != "linux":
        return "only Linux mounts a tmpfs"
    if os.geteuid() != 0:
        return "only root may mount a tmpfs"
    with tempfile.TemporaryDirectory() as place:
        tried = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], capture_output=True, text=True, check=False)
        if tried.returncode != 0:
            return f"root may not mount a tmpfs here: {tried.stderr.strip()}"
        subprocess.run(["umount", place], check=True)
    return ""


def mount_privately() -> None:
    """What this process and its children mount from now on is theirs, and gone with them, however they end.

    To be called where `why_not` is empty, before there are threads.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "no mount namespace of its own")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


@dataclass(frozen=True)
class Disk:
    """A mounted file system with one engine's data."""

    path: Path

    def fill(self) -> None:
        """From now on there is no room for a page more. Raises: OSError when it grows faster than that."""
        for _ in range(TRIES):
            space = os.statvfs(self.path)
            used = (space.f_blocks - space.f_bfree) * space.f_frsize
            if self._resize(str(used)):  # refused when more was written meanwhile
                return
        raise OSError(f"{self.path} cannot be filled")

    def empty(self) -> None:
        """There is room again."""
        assert self._resize(ROOMY)

    def _resize(self, size: str) -> bool:
        command = ["mount", "-o", f"remount,size={size}", str(self.path)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


@asynccontextmanager
async def small_disks(engines: Engines) -> AsyncIterator[dict[str, Disk]]:
    """The data of Kafka and PostgreSQL on disks of their own, by engine; back in their folders at the end."""
    kafka, postgres, disks = engines.kafka, engines.postgres, dict[str, Disk]()
    folders = {"kafka": kafka.config.directory / "data", "postgres": engines.home / "postgres" / "data"}
    await asyncio.gather(kafka.stop(), postgres.stop())
    try:
        for engine, folder in folders.items():
            await asyncio.to_thread(_move_in, folder)
            disks[engine] = Disk(folder)
        await asyncio.gather(kafka.start(), postgres.start())
        yield disks
    finally:
        await asyncio.gather(kafka.kill(), postgres.kill())
        for disk in disks.values():
            await asyncio.to_thread(_move_out, disk)
        disks.clear()
        await asyncio.gather(kafka.start(), postgres.start())


def _move_in(folder: Path) -> None:
    aside = folder.with_name(folder.name + ".aside")
    folder.rename(aside)
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOMY}", "tmpfs", str(folder)], check=True)
    _copy(aside, folder)
    shutil.rmtree(aside)


def _move_out(disk: Disk) -> None:
    folder = disk.path
    aside = folder.with_name(folder.name + ".aside")
    disk.empty()
    aside.mkdir()
    _copy(folder, aside)
    subprocess.run(["umount", str(folder)], check=True)
    folder.rmdir()
    aside.rename(folder)


def _copy(source: Path, target: Path) -> None:
    """With owners and modes, those of the folder itself included; holes stay holes."""
    subprocess.run(["cp", "-a", "--sparse=always", f"{source}/.", str(target)], check=True)
