"""A home directory belongs to one process and one version."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from infra.embedded.errors import EmbeddedError
from infra.embedded.home import HOME_VERSION, open_home, write_private
from tests.embedded.conftest import ROOT

HOLD = """
import sys
from pathlib import Path
from infra.embedded.home import open_home
with open_home(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_it_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    with open_home(tmp_path / "deep" / "home") as home:
        assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
        rooms = (home.kafka, home.postgres, home.clickhouse, home.logs)
        assert {stat.S_IMODE(room.stat().st_mode) for room in rooms} == {0o700}
        assert (home.root / "version").read_text() == f"{HOME_VERSION}\n"


def test_a_second_process_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(EmbeddedError, match=rf"in use by process {holder.pid}\b"), open_home(tmp_path):
            pass
        holder.kill()
    with open_home(tmp_path):  # a crash frees it
        pass


def test_it_can_be_opened_again_after_it_was_closed(tmp_path: Path) -> None:
    for _ in range(2):
        with open_home(tmp_path):
            assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "version").write_text(f"{HOME_VERSION + 1}\n")
    with pytest.raises(EmbeddedError, match="use a newer program"), open_home(tmp_path):
        pass


def test_an_older_version_is_brought_up_to_date(tmp_path: Path) -> None:
    (tmp_path / "version").write_text(f"{HOME_VERSION - 1}\n")
    with open_home(tmp_path):
        assert (tmp_path / "version").read_text() == f"{HOME_VERSION}\n"


def test_a_version_that_is_no_number_is_refused(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("new\n")
    with pytest.raises(EmbeddedError, match="not a number"), open_home(tmp_path):
        pass


def test_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        total: int
        used: int
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(EmbeddedError, match="1 MB free"), open_home(tmp_path):
        pass


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(EmbeddedError, match="choose another with --home"), open_home(tmp_path / "home"):
        pass


def test_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    write_private(tmp_path / "secret", "x")
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
