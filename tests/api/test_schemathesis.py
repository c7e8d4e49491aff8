"""schemathesis reads the OpenAPI document, asks the real server what it thinks of, and compares the answers with it."""

import asyncio
import os
import secrets
import sys
from pathlib import Path

import pytest

from tests.api.conftest import Api

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "ignored_auth",
    "use_after_free",
)
REFUSED = ["400", "401", "403", "404", "406", "409", "413", "414", "415", "422", "429", "431"]
"""How data that does not fit may be refused: its own list has no 414, which addresses over 8 KiB get."""
SEED = 20261125


async def run(api: Api, project: Path, folder: Path, *, phases: str, examples: int, seed: int) -> str:
    """What schemathesis has to say; it has found nothing when it ends well."""
    key = await api.make_key(["*", "system:*"])
    print("seed", seed)
    (folder / "schemathesis.toml").write_text(f"[checks]\nnegative_data_rejection.expected-statuses = {REFUSED}\n")
    options = {
        "phases": phases,
        "checks": ",".join(CHECKS),
        "max-examples": str(examples),
        "seed": str(seed),
        "header": f"Authorization: Bearer {key}",
        "request-timeout": "20",
        "warnings": "off",
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    hooks = "tests.api.schemathesis_hooks"
    program = Path(sys.executable).with_name("schemathesis")
    process = await asyncio.create_subprocess_exec(
        str(program), "run", f"{api.url}/v1/openapi.json", *words, "--no-color", "--continue-on-failure", cwd=folder,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"COLUMNS": "150", "SCHEMATHESIS_HOOKS": hooks, "PYTHONPATH": str(project)},
    )  # fmt: skip
    said, _ = await process.communicate()
    text = said.decode()
    print(text)
    assert process.returncode == 0, text
    return text


@pytest.mark.timeout(180)
async def test_schemathesis_finds_nothing(api: Api, project: Path, tmp_path: Path) -> None:
    await run(api, project, tmp_path, phases="examples,fuzzing", examples=4, seed=SEED)


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_schemathesis_finds_nothing_however_long_it_looks(api: Api, project: Path, tmp_path: Path) -> None:
    await run(
        api, project, tmp_path, phases="examples,coverage,fuzzing,stateful", examples=100, seed=secrets.randbits(32)
    )
