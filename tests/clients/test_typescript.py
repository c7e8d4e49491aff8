"""The TypeScript client is generated from the served document, compiles strictly, and works against the server."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from tests.api.conftest import Api

FILES = ("package.json", "package-lock.json", ".npmrc", "tsconfig.json", "smoke.ts")
HERE = Path(__file__).parent


async def npm(folder: Path, *words: str, **variables: str) -> str:
    """What npm said; it has to end well."""
    process = await asyncio.create_subprocess_exec(
        "npm", *words, cwd=folder, env=os.environ | variables,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


@pytest.mark.timeout(240)
@pytest.mark.skipif(
    shutil.which("npm") is None, reason="no node and npm on this machine: the TypeScript client is not checked"
)
async def test_the_typescript_client_compiles_and_works(api: Api, tmp_path: Path) -> None:
    for name in FILES:
        shutil.copy(HERE / name, tmp_path)
    (tmp_path / "openapi.json").write_bytes((await api.get("/v1/openapi.json")).content)
    await npm(tmp_path, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    for step in ("generate", "compile"):
        await npm(tmp_path, "run", step)
    said = await npm(tmp_path, "run", "smoke", AIHUB_URL=api.url, AIHUB_KEY=api.key)
    assert "all answers as typed" in said


def test_the_lock_has_hashes_and_no_addresses_to_fetch_from() -> None:
    lock = (HERE / "package-lock.json").read_text()
    assert lock.count('"integrity": "sha512-') > 30
    assert '"resolved"' not in lock
