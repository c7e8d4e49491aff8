"""Log-ins with other providers: OpenID Connect Core 1.0 by code flow with PKCE (RFC 7636), and GitHub's OAuth.

Authlib's clients stand on httpx and requests; over aiohttp little of them is left: this is aiohttp and joserfc.
"""

import hashlib
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import aiohttp

from contracts.errors import ProviderUnavailable, Unauthenticated
from infra.http.id_tokens import Expected, verify
from infra.http.providers import Provider, is_secure

DEADLINE_S: Final = 10.0
MAX_BYTES: Final = 1_000_000
KEPT_FOR: Final = timedelta(hours=1)
KEYS_AGAIN: Final = timedelta(seconds=10)
"""An unknown key is looked for again, but not more often than this."""
DISCOVERY: Final = "/.well-known/openid-configuration"


class Identity(NamedTuple):
    """An account at a provider. `email` only when the provider vouches that it is theirs."""

    issuer: str
    subject: str
    email: str | None
    name: str | None


class Request(NamedTuple):
    """One log-in on its way: what is sent along, and must come back or fit."""

    redirect_uri: str
    state: str
    nonce: str
    verifier: str


class OidcClient:
    """Talks to one provider; keeps its metadata and keys for an hour."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._metadata: tuple[dict[str, Any], datetime] | None = None
        self._keys: tuple[dict[str, Any], datetime] | None = None

    async def authorization_url(self, request: Request, now: datetime) -> str:
        """Where the browser is sent. Raises: ProviderUnavailable."""
        endpoint = (await self._endpoints(now))["authorization_endpoint"]
        challenge = urlsafe_b64encode(hashlib.sha256(request.verifier.encode()).digest()).decode().rstrip("=")
        query = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": request.redirect_uri,
            "scope": " ".join(self.provider.scopes),
            "state": request.state,
            "nonce": request.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if self.provider.kind == "github":
            del query["nonce"]
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def identify(self, code: str, request: Request, issuer: str | None, now: datetime) -> Identity:
        """Whose code this is. `issuer` is what the answer says of itself (RFC 9207), against mix-ups.

        Raises: Unauthenticated (nothing of it is believed), ProviderUnavailable.
        """
        metadata = await self._endpoints(now)
        demanded = metadata.get("authorization_response_iss_parameter_supported") is True
        if (issuer is not None or demanded) and issuer != self.provider.issuer:
            raise Unauthenticated("The answer is from another issuer than was asked; begin again.")
        tokens = await self._exchange(code, request, metadata)
        if self.provider.kind == "github":
            return await self._github(tokens)
        expected = Expected(self.provider.issuer, self.provider.client_id, request.nonce, now)
        token = tokens.get("id_token")
        if not isinstance(token, str):
            raise Unauthenticated("The provider gave no ID token; begin again.")
        claims = await self._verified(token, expected)
        vouched = claims.get("email_verified") in (True, "true")
        return Identity(
            self.provider.issuer,
            claims["sub"],
            _text(claims.get("email"), 254) if vouched else None,
            _text(claims.get("name"), 255),
        )

    async def _endpoints(self, now: datetime) -> dict[str, Any]:
        """The provider's metadata (OpenID Connect Discovery 1.0). Raises: ProviderUnavailable."""
        if self.provider.kind == "github":
            login = self.provider.issuer + "/login/oauth"
            return {"authorization_endpoint": f"{login}/authorize", "token_endpoint": f"{login}/access_token"}
        if self._metadata is None or now - self._metadata[1] > KEPT_FOR:
            found = await _json("GET", self.provider.issuer.rstrip("/") + DISCOVERY)
            if found.get("issuer") != self.provider.issuer:
                raise ProviderUnavailable("The provider's metadata names another issuer.", retry_after_s=None)
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                if not isinstance(found.get(name), str) or not is_secure(found[name]):
                    raise ProviderUnavailable(
                        f"The provider's metadata has no {name} that we take.", retry_after_s=None
                    )
            self._metadata = found, now
        return self._metadata[0]

    async def _exchange(self, code: str, request: Request, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """The tokens for the code (RFC 6749, section 4.1.3), sent with our secret."""
        secret = self.provider.client_secret.get_secret_value()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": request.redirect_uri,
            "code_verifier": request.verifier,
        }
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        headers = {}
        if self.provider.kind == "github" or "client_secret_basic" not in methods:
            form |= {"client_id": self.provider.client_id, "client_secret": secret}
        else:
            pair = f"{quote(self.provider.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
        tokens = await _json("POST", metadata["token_endpoint"], form=form, headers=headers)
        if "error" in tokens:  # GitHub refuses with 200
            raise _refused()
        return tokens

    async def _verified(self, token: str, expected: Expected) -> dict[str, Any]:
        """The claims; keys that are not known yet are fetched once more."""
        now = expected.now
        if self._keys is None or now - self._keys[1] > KEPT_FOR:
            await self._fetch_keys(now)
        assert self._keys is not None
        claims = verify(token, self._keys[0], expected)
        if claims is None and now - self._keys[1] > KEYS_AGAIN:
            await self._fetch_keys(now)
            claims = verify(token, self._keys[0], expected)
        if claims is None:
            raise Unauthenticated("The ID token is signed by a key that the provider does not have; begin again.")
        return claims

    async def _fetch_keys(self, now: datetime) -> None:
        self._keys = await _json("GET", (await self._endpoints(now))["jwks_uri"]), now

    async def _github(self, tokens: Mapping[str, Any]) -> Identity:
        """GitHub's API says who they are; of their addresses the primary one counts, if it is verified."""
        headers = {"Authorization": f"Bearer {tokens.get('access_token')}", "X-GitHub-Api-Version": "2022-11-28"}
        user = await _json("GET", f"{self.provider.api_url}/user", headers=headers)
        emails = await _json("GET", f"{self.provider.api_url}/user/emails", headers=headers)
        if type(user.get("id")) is not int:
            raise _refused()
        listed = emails.get("items") or ()
        primary: dict[str, Any] = next(
            (one for one in listed if one.get("primary") is True and one.get("verified") is True), {}
        )
        name = _text(user.get("name") or user.get("login"), 255)
        return Identity(self.provider.issuer, str(user["id"]), _text(primary.get("email"), 254), name)


async def _json(
    method: str, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The object that comes back; a list as `{"items": [...]}`. Redirects are not followed, a megabyte is read.

    Raises: Unauthenticated (4xx), ProviderUnavailable (else).
    """
    accept = {"Accept": "application/json", "User-Agent": "SmartAIHub/1.0", **(headers or {})}
    timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, url, data=form, headers=accept, allow_redirects=False) as answer,
        ):
            body = await answer.content.read(MAX_BYTES)
            while len(body) < MAX_BYTES and (chunk := await answer.content.read(MAX_BYTES - len(body))):
                body += chunk
            status = answer.status
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        raise ProviderUnavailable(f"The provider does not answer ({type(error).__name__}).") from None
    if 400 <= status < 500:
        raise _refused()
    try:
        found = json.loads(body) if status == 200 else None
    except ValueError:
        found = None
    if isinstance(found, list):
        found = {"items": [one for one in found if isinstance(one, dict)]}
    if not isinstance(found, dict):
        raise ProviderUnavailable(f"The provider answered {status} and nothing that we can read.")
    return found


def _refused() -> Unauthenticated:
    return Unauthenticated(
        "The provider refuses the log-in: its code was used, is too old, or is not ours. Begin again."
    )


def _text(value: Any, longest: int) -> str | None:
    """A text that we can keep."""
    if not isinstance(value, str) or not value.strip() or "\x00" in value:
        return None
    return value.strip()[:longest].encode("utf-8", "replace").decode()
