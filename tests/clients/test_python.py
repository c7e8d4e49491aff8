"""The Python client is generated from the served document, passes mypy, and works against the server."""

import asyncio
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.api.conftest import USAGE, Api

NAME = "aihub_client"
CONFIG = f"package_name_override: {NAME}\npost_hooks: []\ncontent_type_overrides:\n  application/x-ndjson: text/plain\n"


async def run(*words: str, cwd: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *words, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


def one_kind_of_body(document: dict[str, Any]) -> dict[str, Any]:
    """The document with single events only: where a body may also be a list, openapi-python-client 0.29 writes
    `isinstance(body, list[...])`, which Python refuses."""
    for path in ("/v1/events", "/v1/usage"):
        content = document["paths"][path]["post"]["requestBody"]["content"]
        media_type = next(iter(content))
        schema = content[media_type]["schema"]
        content.clear()
        content[media_type] = {"schema": schema["anyOf"][0] if "anyOf" in schema else schema}
    return document


@pytest.fixture
async def generated(api: Api, tmp_path: Path) -> Path:
    """The folder in which the client package lies."""
    document = one_kind_of_body((await api.get("/v1/openapi.json")).json())
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    (tmp_path / "config.yaml").write_text(CONFIG)
    program = str(Path(sys.executable).with_name("openapi-python-client"))
    await run(
        program, "generate", "--path", "openapi.json", "--config", "config.yaml", "--meta", "none",
        "--output-path", NAME, "--fail-on-warning", cwd=tmp_path,
    )  # fmt: skip
    return tmp_path


@pytest.fixture
def importable(generated: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same, on the path of this process."""
    monkeypatch.syspath_prepend(str(generated))
    yield generated
    for name in [name for name in sys.modules if name.split(".")[0] == NAME]:
        del sys.modules[name]


def module(path: str) -> ModuleType:
    return importlib.import_module(f"{NAME}.{path}")


@pytest.mark.timeout(240)
async def test_the_python_client_passes_mypy_and_works(api: Api, importable: Path) -> None:
    await run(sys.executable, "-m", "mypy", "--strict", "--config-file", "", NAME, cwd=importable)
    models = module("models")
    async with module("client").AuthenticatedClient(base_url=api.url, token=api.key) as hub:
        await sends_usage(hub, models)
        await edits_an_endpoint(hub, models)
    async with module("client").AuthenticatedClient(base_url=api.url, token="nothing") as nobody:
        refused = await module("api.credits_.credits_balance").asyncio(client=nobody)
    assert isinstance(refused, models.ErrorAnswer)
    assert refused.error.code == "unauthenticated"


async def sends_usage(hub: Any, models: ModuleType) -> None:
    answer = await module("api.events.usage_send").asyncio(client=hub, body=models.Usage.from_dict(USAGE))
    assert isinstance(answer, models.EventsAnswer)
    assert (answer.data.accepted, answer.data.results[0].status) == (1, "accepted")
    one = {"specversion": "1.0", "source": "urn:python", "type": "usage.recorded.v1", "data": USAGE}
    sent = await module("api.events.events_send").asyncio(client=hub, body=models.CloudEvent.from_dict(one))
    assert sent.data.results[0].receipt.offset >= 0
    balance = await module("api.credits_.credits_balance").asyncio(client=hub)
    assert isinstance(balance.data.available_micros, int)


async def edits_an_endpoint(hub: Any, models: ModuleType) -> None:
    wanted = models.EndpointIn(url="https://example.com/hook", event_types=["credits.*"])
    create = module("api.webhooks.webhooks_create_endpoint").asyncio
    made, again = [await create(client=hub, body=wanted, idempotency_key="python-1") for _ in range(2)]
    assert made.data.id == again.data.id
    assert made.data.secret.startswith("whsec_")
    read = await module("api.webhooks.webhooks_read_endpoint").asyncio_detailed(made.data.id, client=hub)
    change = module("api.webhooks.webhooks_change_endpoint").asyncio
    etag = read.headers["etag"]
    changed = await change(made.data.id, client=hub, body=models.EndpointChange(description="new"), if_match=etag)
    assert changed.data.description == "new"
    stale = await change(made.data.id, client=hub, body=models.EndpointChange(description="lost"), if_match=etag)
    assert stale.error.code == "precondition_failed"
    listed = await module("api.webhooks.webhooks_list_endpoints").asyncio(client=hub, page=1)
    assert (listed.pagination.total, listed.data[0].created_at.tzinfo is not None) == (1, True)
