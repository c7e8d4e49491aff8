"""What a provider may not get away with."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from infra.http.oidc import OidcClient, Request
from infra.http.providers import Provider
from tests.api.conftest import Api, World
from tests.api.oauth.providers import OAUTH, Browser, providers
from tests.support.clock import FakeClock
from tests.support.issuer import (
    CLIENT,
    SECRET,
    Issuer,
    signed,
    signed_with_another_key,
    signed_with_the_public_key,
    unsigned,
)

Lie = Callable[[Issuer], None]


def claims(**changed: Any) -> Lie:
    def lie(issuer: Issuer) -> None:
        issuer.claims |= changed

    return lie


def signs(how: Any) -> Lie:
    return lambda issuer: setattr(issuer, "sign", how)


def answers(**changed: str) -> Lie:
    return lambda issuer: issuer.answers.update(changed)


NOON = int(FakeClock().now().timestamp())


LIES: dict[str, Lie] = {
    "alg none": signs(unsigned),
    "signed with the public key": signs(signed_with_the_public_key),
    "signed by somebody else": signs(signed_with_another_key),
    "an unknown key": signs(lambda body, key: signed(body, key, kid="other")),
    "an unknown extension": signs(lambda body, key: signed(body, key) + "x"),
    "no JWT": signs(lambda _body, _key: "nonsense"),
    "another nonce": claims(nonce="other"),
    "no nonce": claims(nonce=None),
    "another issuer": claims(iss="https://evil.example"),
    "another audience": claims(aud="client:2"),
    "no audience": claims(aud=None),
    "several audiences without a party": claims(aud=[CLIENT, "client:2"]),
    "another party": claims(aud=[CLIENT, "client:2"], azp="client:2"),
    "expired": claims(exp=NOON - 61),
    "no expiry": claims(exp=None),
    "expiry as text": claims(exp="9999999999"),
    "from the future": claims(iat=NOON + 120),
    "too old": claims(iat=NOON - 3700),
    "no subject": claims(sub=None),
    "a subject too long": claims(sub="x" * 256),
    "mixed up issuers": answers(iss="https://evil.example"),
    "another code": answers(code="other"),
}


@pytest.mark.parametrize("name", LIES)
async def test_a_lie_logs_nobody_in(api: Api, issuer: Issuer, name: str) -> None:
    LIES[name](issuer)
    refused = await Browser(api).log_in()
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "unauthenticated"), refused.text


async def test_several_audiences_are_fine_when_we_are_the_party(api: Api, issuer: Issuer) -> None:
    issuer.claims |= {"aud": [CLIENT, "client:2"], "azp": CLIENT}
    assert (await Browser(api).log_in()).status_code == 200


async def test_a_code_is_exchanged_with_its_verifier_only(api: Api, issuer: Issuer) -> None:
    browser = Browser(api)
    address = await browser.start()
    back = await browser.consent(address)
    for known in issuer.codes.values():
        known["code_challenge"] = "of-another-verifier"
    assert (await browser.ask("GET", back)).status_code == 401


async def test_unknown_keys_are_not_asked_for_again_and_again(api: Api, issuer: Issuer) -> None:
    assert (await Browser(api).log_in()).status_code == 200
    fetched = issuer.key_fetches
    issuer.rotate()
    refused = await Browser(api).log_in()
    assert refused.status_code == 401, "keys were fetched a moment ago: an unknown one is not a reason to ask again"
    assert issuer.key_fetches == fetched


async def test_keys_are_rotated_without_notice() -> None:
    clock = FakeClock()
    async with Issuer.running(clock) as issuer:
        client = OidcClient(Provider(issuer=issuer.url, client_id=CLIENT, client_secret=SecretStr(SECRET)))

        async def log_in() -> str:
            request = Request("http://localhost:8080/back", "state", "nonce", "verifier")
            async with httpx.AsyncClient() as browser:
                sent = await browser.get(await client.authorization_url(request, clock.now()))
            code = parse_qs(urlsplit(sent.headers["location"]).query)["code"][0]
            return (await client.identify(code, request, issuer.url, clock.now())).subject

        assert await log_in() == "248289761001"
        issuer.rotate()
        clock.advance(11)
        assert await log_in() == "248289761001"
        assert issuer.key_fetches == 2


async def test_a_provider_that_is_away_or_lies_about_itself_is_a_503(world: World) -> None:
    async with providers(world) as (issuer, _, url):
        issuer.metadata = {"issuer": "https://evil.example"}
        async with httpx.AsyncClient(base_url=url) as client:
            answer = await client.get(f"{OAUTH}/issuer/start")
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "provider_unavailable")
            issuer.metadata = {"token_endpoint": "http://evil.example/token"}
            assert (await client.get(f"{OAUTH}/issuer/start")).status_code == 503
            assert (await client.get(f"{OAUTH}/nobody/start")).status_code == 404
