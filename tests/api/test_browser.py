"""The pages in a real browser. They need one on the machine; what they load and say is tested elsewhere without."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from infra.embedded.ports import free_ports
from tests.api.conftest import Api, Person, World
from tests.api.oauth.google import api_with_google, google
from tests.api.test_factors_totp import code_at, with_totp
from tests.support import chromium
from tests.support.chromium import Page

pytestmark = pytest.mark.skipif(chromium.found() is None, reason="no Chromium here: apt-get install chromium")

ENROL = """
(async () => {
  const ask = async (path, body) => (await (await fetch("/v1/auth/mfa/passkeys" + path, {
    method: "POST", headers: {"Content-Type": "application/json", Authorization: "Bearer TOKEN"},
    body: body && JSON.stringify(body)})).json()).data;
  const { challenge, options } = await ask("/options");
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const credential = (await navigator.credentials.create({ publicKey })).toJSON();
  return (await ask("", { challenge, credential, name: "Laptop" })).id;
})()
"""


@pytest.fixture
async def api(world: World) -> AsyncIterator[Api]:
    (port,) = free_ports(1)
    async with google(world) as issuer, api_with_google(world, issuer, port) as opened:
        yield opened


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with Page.opened(tmp_path) as opened:
        yield opened


async def log_in(page: Page, api: Api) -> None:
    """As a custom GPT sends people: through Google to the page."""
    await page.go(f"{api.deps.options.public_url}/v1/auth/google?session=one&return_to=chatgpt")
    await page.until("document.querySelector('main') !== null")


async def redeemed(page: Page, api: Api) -> dict[str, Any]:
    """The session for the code that the page shows."""
    code = await page.run("document.getElementById('code').innerText")
    answer = await api.post("/v1/auth/verified-code", json={"code": code, "session": "one"})
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


async def newcomer(page: Page, api: Api) -> Person:
    """Somebody who has logged in once."""
    await log_in(page, api)
    first = await redeemed(page, api)
    until = api.clock.now().replace(year=api.clock.now().year + 1)
    token = await api.tokens.issue(first["user"]["id"], first["session_id"], first["organization"]["id"], until)
    return Person(first["user"]["id"], "", first["session_id"], token)


async def test_a_code_is_shown_and_copied(page: Page, api: Api) -> None:
    await page.send("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    await log_in(page, api)
    assert await page.run("document.getElementById('copied').hidden")
    await page.click("copy")
    await page.until("!document.getElementById('copied').hidden")
    copied = await page.run("navigator.clipboard.readText()")
    assert copied == await page.run("document.getElementById('code').innerText")
    assert page.problems == []


async def test_a_passkey_is_made_and_is_the_second_step(page: Page, api: Api) -> None:
    person = await newcomer(page, api)
    await page.authenticator()
    assert (await page.run(ENROL.replace("TOKEN", person.token))).startswith("pk_")
    await log_in(page, api)
    assert await page.run("document.getElementById('done').hidden")
    await page.click("passkey")
    await page.until("!document.getElementById('done').hidden")
    assert (await redeemed(page, api))["user"]["id"] == person.id
    assert page.problems == []


async def test_an_authenticator_app_is_the_second_step_after_a_wrong_code(page: Page, api: Api) -> None:
    person = await newcomer(page, api)
    secret, _ = await with_totp(api, person)
    await log_in(page, api)
    assert await page.run("document.getElementById('passkey')") is None, "they have none"
    right = code_at(secret, api.clock.now(), 1)
    await page.run(f"document.getElementById('factor').value = '{(int(right) + 1) % 1_000_000:06}'")
    await page.click("prove")
    await page.until("!document.getElementById('wrong').hidden")
    await page.run(f"document.getElementById('factor').value = '{right}'")
    await page.click("prove")
    await page.until("!document.getElementById('done').hidden")
    assert (await redeemed(page, api))["user"]["id"] == person.id


@pytest.mark.parametrize(("path", "sign"), [("/v1/docs", ".opblock-tag"), ("/v1/docs/events", "table")])
async def test_the_reference_is_drawn_from_here_alone(page: Page, api: Api, path: str, sign: str) -> None:
    await page.go(api.url + path)
    await page.until(f"document.querySelectorAll('{sign}').length > 10")
    assert page.problems == []
    assert {url.split("/v1/")[0] for url in page.requested if not url.startswith("data:")} == {api.url}
