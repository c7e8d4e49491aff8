"""A local OpenID provider that follows OpenID Connect Core and Discovery 1.0, RFC 7636 and RFC 9207; and a GitHub.

Somebody is always logged in there and always says yes. A test may make it lie: `claims`, `sign`, `answers`.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self
from urllib.parse import unquote, urlencode

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.support.clock import FakeClock

CLIENT, SECRET = "client:1", "s3cret/with+signs"


@cache
def first_key() -> RSAKey:
    """The key that every issuer of a session begins with: making one takes a tenth of a second."""
    return RSAKey.generate_key(2048, parameters={"kid": "one", "use": "sig"})


@dataclass
class Issuer:
    """The provider; `claims` are who is logged in there, over the honest claims."""

    clock: FakeClock
    url: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    sign: Callable[[dict[str, Any], RSAKey], str] | None = None
    answers: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=first_key)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    github_id: Any = 583231
    emails: list[dict[str, Any]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    key_fetches: int = 0

    @classmethod
    @asynccontextmanager
    async def running(cls, clock: FakeClock) -> AsyncIterator[Self]:
        """Listens on a free port of this machine."""
        issuer = cls(clock)
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", issuer._discovery)
        app.router.add_get("/jwks", issuer._jwks)
        for path in ("/authorize", "/login/oauth/authorize"):
            app.router.add_get(path, issuer._authorize)
        for path in ("/token", "/login/oauth/access_token"):
            app.router.add_post(path, issuer._token)
        app.router.add_get("/user", issuer._github_user)
        app.router.add_get("/user/emails", issuer._github_emails)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield issuer
        finally:
            await runner.cleanup()

    def reset(self) -> None:
        """Honest, as it began."""
        self.claims, self.answers, self.metadata, self.emails = {}, {}, {}, []
        self.sign, self.key, self.github_id = None, first_key(), 583231

    def rotate(self) -> None:
        """Another key from now on."""
        self.key = RSAKey.generate_key(2048, parameters={"kid": secrets.token_hex(4), "use": "sig"})

    async def _discovery(self, _request: web.Request) -> web.Response:
        honest = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "authorization_response_iss_parameter_supported": True,
        }
        return web.json_response(honest | self.metadata)

    async def _jwks(self, _request: web.Request) -> web.Response:
        self.key_fetches += 1
        return web.json_response({"keys": [self.key.as_dict(private=False)]})

    async def _authorize(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT
        assert query["code_challenge_method"] == "S256"
        self.asked.append(query)
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        back = {"code": code, "state": query["state"]}
        back |= {} if request.path.startswith("/login") else {"iss": self.url}
        back |= self.answers
        return web.Response(status=302, headers={"Location": query["redirect_uri"] + "?" + urlencode(back)})

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        github = request.path.startswith("/login")
        known = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        verifier = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if self._client(request, form) != (CLIENT, SECRET):
            return web.json_response({"error": "invalid_client"}, status=401)
        if (
            known is None
            or known["redirect_uri"] != form.get("redirect_uri")
            or known["code_challenge"] != verifier
            or form.get("grant_type") != "authorization_code"
        ):
            return web.json_response({"error": "invalid_grant"}, status=200 if github else 400)
        if github:
            return web.json_response({"access_token": "gho_1", "token_type": "bearer"})
        now = int(self.clock.now().timestamp())
        claims = {"iss": self.url, "aud": CLIENT, "sub": "248289761001", "iat": now, "exp": now + 300,
                  "nonce": known["nonce"], "email": "ada@example.com", "email_verified": True,
                  "name": "Ada"} | self.claims  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        token = self.sign(claims, self.key) if self.sign else signed(claims, self.key)
        return web.json_response({"access_token": "at_1", "token_type": "Bearer", "id_token": token})

    def _client(self, request: web.Request, form: dict[str, str]) -> tuple[str, str]:
        scheme, _, basic = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic":
            return form.get("client_id", ""), form.get("client_secret", "")
        name, _, secret = base64.b64decode(basic).decode().partition(":")
        return unquote(name), unquote(secret)

    async def _github_user(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer gho_1"
        return web.json_response({"id": self.github_id, "login": "octo", "name": None, "email": "public@example.com"})

    async def _github_emails(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer gho_1"
        return web.json_response(self.emails)


def signed(claims: dict[str, Any], key: RSAKey, **header: Any) -> str:
    """As an honest issuer does it."""
    return jwt.encode({"alg": "RS256", "kid": key.kid, **header}, claims, key)


def unsigned(claims: dict[str, Any], _key: RSAKey) -> str:
    """With `alg: none`."""
    return _part({"alg": "none"}) + "." + _part(claims) + "."


def signed_with_the_public_key(claims: dict[str, Any], key: RSAKey) -> str:
    """HS256 under the issuer's public key: what a verifier takes that lets the token choose the algorithm."""
    text = _part({"alg": "HS256", "kid": key.kid}) + "." + _part(claims)
    mac = hmac.digest(key.as_pem(private=False), text.encode(), "sha256")
    return text + "." + base64.urlsafe_b64encode(mac).decode().rstrip("=")


def signed_with_another_key(claims: dict[str, Any], key: RSAKey) -> str:
    """Under the issuer's key id, by somebody else."""
    return signed(claims, RSAKey.generate_key(2048), kid=key.kid)


def _part(value: dict[str, Any]) -> str:

    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
