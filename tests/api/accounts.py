"""Accounts as their owners make and use them: by the API and their mail alone."""

import itertools
import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import httpx

from infra.ids import new_id
from infra.mail.sealing import open_text
from infra.postgres import mails
from tests.api.conftest import Api

_ADDRESSES = itertools.count(1)
PASSWORD = "seven green boats at dawn"


async def letters(api: Api, email: str) -> list[tuple[str, str, str]]:
    """Occasion, subject and body of every mail to the address, the newest first."""
    async with api.deps.database.unscoped() as tx:
        rows = await mails.list_mails(tx, recipient=email, after=None, limit=50)
    return [(row.subject, *open_text(api.deps.sealer, row.id, row.body)) for row in rows]


@dataclass
class Account:
    """Somebody at a keyboard, with a mailbox and an address on the network of their own."""

    api: Api
    email: str = field(default_factory=lambda: f"{new_id('a')}@example.com")
    password: str = PASSWORD
    address: str = field(default_factory=lambda: str(ip_address("10.0.0.0") + next(_ADDRESSES)))
    tokens: dict[str, Any] = field(default_factory=dict)
    device: str | None = None

    async def post(self, path: str, body: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        """As nobody yet (the client's own key is ignored where nobody is asked for)."""
        sent = {"x-forwarded-for": self.address} | headers
        if self.device:
            sent["x-device-token"] = self.device
        return await self.api.client.post(path, json={} if body is None else body, headers=sent)

    @property
    def headers(self) -> dict[str, str]:
        """What a request carries once they are logged in."""
        return {"authorization": f"Bearer {self.tokens['access_token']}", "x-forwarded-for": self.address}

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """As who they are."""
        headers = self.headers | options.pop("headers", {})
        return await self.api.client.request(method, path, headers=headers, **options)

    async def register(self, **more: Any) -> httpx.Response:
        return await self.post("/v1/auth/register", {"email": self.email, "password": self.password} | more)

    async def code(self) -> str:
        """The code of the newest mail."""
        for occasion, _subject, body in await letters(self.api, self.email):
            if occasion == "verify":
                return re.findall(r"\b\d{6}\b", body)[0]
        raise AssertionError("no code came")

    async def verify(self, verification: str, code: str | None = None) -> httpx.Response:
        wanted = {"verification": verification, "code": code or await self.code()}
        return await self.post("/v1/auth/verify", wanted)

    async def log_in(self, password: str | None = None) -> httpx.Response:
        """Keeps the tokens when it went well."""
        answer = await self.post("/v1/auth/login", {"email": self.email, "password": password or self.password})
        if answer.status_code == 200:
            self.tokens = answer.json()["data"]
        return answer


async def an_account(api: Api, **changes: Any) -> Account:
    """Somebody registered, verified and logged in."""
    account = Account(api, **changes)
    registered = await account.register()
    assert registered.status_code == 201, registered.text
    verified = await account.verify(registered.json()["data"]["verification"])
    assert verified.status_code == 200, verified.text
    assert (await account.log_in()).status_code == 200
    return account
