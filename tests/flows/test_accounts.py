"""A person's first five minutes, against the whole stack: the guide docs/identity.md as a test."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.flows.test_processes import aihub, run_info, up
from tests.support.eventually import eventually

WHO = {"email": "ada@example.com", "password": "seven green boats at dawn"}


async def said(*words: object) -> Any:
    """What a command prints as JSON."""
    done = await asyncio.to_thread(aihub, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(200)
async def test_from_registering_to_paying_with_the_welcome_credits_and_nothing_of_it_in_a_log(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with up(home), httpx.AsyncClient(base_url=run_info(home)["url"], timeout=20) as client:

        async def post(path: str, body: dict[str, Any], token: str = "none") -> Any:
            answer = await client.post(path, json=body, headers={"authorization": f"Bearer {token}"})
            assert answer.is_success, answer.text
            return answer.json()["data"]

        registered = await post("/v1/auth/register", WHO | {"name": "Ada"})
        [mail] = await said("mail", "list", "--to", WHO["email"], "--home", home)
        text = (await said("mail", "show", mail["id"], "--home", home))["body"]
        code = re.findall(r"\b\d{6}\b", text)[0]
        await post("/v1/auth/verify", {"verification": registered["verification"], "code": code})
        tokens = await post("/v1/auth/login", WHO)
        scopes = ["events:write", "credits:read"]
        key = (await post("/v1/keys", {"name": "first", "scopes": scopes}, tokens["access_token"]))["key"]
        usage = {"service": "chat", "model": "gpt-4o", "input_tokens": 374, "output_tokens": 44}
        await post("/v1/usage", usage, key)

        async def charged() -> bool:
            answer = await client.get("/v1/credits/balance", headers={"authorization": f"Bearer {key}"})
            return 0 < answer.json()["data"]["available_micros"] < 10_000_000

        await eventually(charged, within_s=30)
    secrets = [*WHO.values(), code, tokens["access_token"], tokens["refresh_token"], tokens["device_token"], key]
    for log in [home / "aihub.log", *(home / "logs").rglob("*")]:
        written = log.read_text(errors="replace") if log.is_file() else ""
        assert not [secret for secret in secrets if secret in written], log
