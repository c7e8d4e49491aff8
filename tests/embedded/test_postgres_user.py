"""The account that PostgreSQL runs as when we are root."""

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from infra.embedded import postgres_user

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("useradd") is None, reason="only root makes accounts, and only with useradd"
)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A name that no account has yet; its account goes with the test."""
    name = f"aihub-test-{secrets.token_hex(4)}"
    monkeypatch.setattr(postgres_user, "ACCOUNT", name)
    yield name
    subprocess.run(["userdel", name], capture_output=True, check=True)


def test_processes_that_start_at_once_on_a_fresh_machine_agree_on_one_account(account: str, tmp_path: Path) -> None:
    together = Barrier(4)

    def start() -> tuple[int, int]:
        together.wait()
        user = postgres_user.server_user(tmp_path / "data")
        return user.uid, user.gid

    with ThreadPoolExecutor(4) as pool:
        found = {future.result() for future in [pool.submit(start) for _ in range(4)]}
    entry = pwd.getpwnam(account)
    assert found == {(entry.pw_uid, entry.pw_gid)}


def test_without_useradd_it_is_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(postgres_user, "ACCOUNT", f"aihub-test-{secrets.token_hex(4)}")
    monkeypatch.setattr(postgres_user, "USERADD", ("no-such-program",))
    nobody = pwd.getpwnam("nobody")
    user = postgres_user.server_user(tmp_path / "data")
    assert (user.uid, user.gid) == (nobody.pw_uid, nobody.pw_gid)
