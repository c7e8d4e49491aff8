"""Access tokens: only our own, whole, in force, and for us."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from contracts.errors import Unauthenticated
from infra import tokens
from infra.tokens import AccessClaims

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ISSUER, AUDIENCE = "https://hub.example", "aihub:api"
KEY = tokens.new_signing_key("sk_1")
OTHER = tokens.new_signing_key("sk_1")
CLAIMS = AccessClaims("user_1", "ses_1", "org_1", NOW + timedelta(minutes=15))
GOOD = tokens.sign(CLAIMS, KEY, issuer=ISSUER, audience=AUDIENCE, now=NOW, token_id="at_1")
HEADER = {"alg": "EdDSA", "typ": "at+jwt", "kid": "sk_1"}
BODY = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "user_1",
    "sid": "ses_1",
    "org": "org_1",
    "iat": int(NOW.timestamp()),
    "exp": int(NOW.timestamp()) + 900,
}


def read(token: str, now: datetime = NOW) -> AccessClaims:
    """What a process that knows our key makes of it."""
    if tokens.key_id(token) != "sk_1":
        raise Unauthenticated("unknown key")
    return tokens.verify(token, KEY, issuer=ISSUER, audience=AUDIENCE, now=now)


def b64(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def signed(header: dict[str, Any] | None = None, body: dict[str, Any] | None = None, key: OKPKey = KEY) -> str:
    """A token signed with Ed25519 whatever its header says."""
    first = f"{b64({**HEADER, **(header or {})})}.{b64({**BODY, **(body or {})})}"
    private: Any = key.private_key
    return f"{first}.{b64(private.sign(first.encode()))}"


def with_hmac(secret: bytes, alg: str = "HS256") -> str:
    first = f"{b64({**HEADER, 'alg': alg})}.{b64(BODY)}"
    return f"{first}.{b64(hmac.new(secret, first.encode(), hashlib.sha256).digest())}"


def with_key(alg: str, key: Any) -> str:
    return jwt.encode({**HEADER, "alg": alg}, BODY, key, algorithms=[alg])


def without(*names: str) -> str:
    first = f"{b64(HEADER)}.{b64({k: v for k, v in BODY.items() if k not in names})}"
    private: Any = KEY.private_key
    return f"{first}.{b64(private.sign(first.encode()))}"


PUBLIC = KEY.as_dict(private=False)
FORGED = {
    "nothing": "",
    "one part": "abc",
    "five parts": "a.b.c.d.e",
    "not base64": "%%%.%%%.%%%",
    "not JSON": f"{b64(b'{')}.{b64(b'{')}.{b64(b'x')}",
    "header is a list": f"{b64([])}.{b64(BODY)}.{b64(b'x')}",
    "header is null": f"{b64(None)}.{b64(BODY)}.{b64(b'x')}",
    "alg none": f"{b64({**HEADER, 'alg': 'none'})}.{b64(BODY)}.",
    "alg None": f"{b64({**HEADER, 'alg': 'None'})}.{b64(BODY)}.",
    "alg missing": f"{b64({'typ': 'at+jwt', 'kid': 'sk_1'})}.{b64(BODY)}.{b64(b'x')}",
    "alg is a number": signed({"alg": 1}),
    "HS256 with the public key": with_hmac(base64.urlsafe_b64decode(PUBLIC["x"] + "=")),
    "HS256 with the public JWK": with_hmac(json.dumps(PUBLIC).encode()),
    "HS256 under the name EdDSA": with_hmac(base64.urlsafe_b64decode(PUBLIC["x"] + "="), "EdDSA"),
    "HS256 with an empty secret": with_hmac(b""),
    "ES256": with_key("ES256", ECKey.generate_key("P-256")),
    "RS256": with_key("RS256", RSAKey.generate_key(2048)),
    "another Ed25519 key of the same name": signed(key=OTHER),
    "no signature": GOOD.rpartition(".")[0] + ".",
    "cut signature": GOOD[:-4],
    "longer signature": GOOD + "AAAA",
    "changed body": ".".join([GOOD.split(".")[0], b64({**BODY, "sub": "user_2"}), GOOD.split(".")[2]]),
    "changed header": ".".join([b64({**HEADER, "kid": "sk_2"}), *GOOD.split(".")[1:]]),
    "kid unknown": signed({"kid": "sk_9"}),
    "kid missing": signed({"kid": None}),
    "kid is a path": signed({"kid": "../../dev/null"}),
    "kid is SQL": signed({"kid": "x' OR '1'='1"}),
    "kid is a list": signed({"kid": ["sk_1"]}),
    "own key in the header": signed({"jwk": OTHER.as_dict(private=False)}, key=OTHER),
    "key by URL": signed({"jku": "https://evil.example/jwks"}, key=OTHER),
    "certificate by URL": signed({"x5u": "https://evil.example/x"}, key=OTHER),
    "critical extension": signed({"crit": ["b64"], "b64": False}),
    "typ JWT": signed({"typ": "JWT"}),
    "typ of a refresh token": signed({"typ": "rt+jwt"}),
    "wrong issuer": signed(body={"iss": "https://evil.example"}),
    "wrong audience": signed(body={"aud": "other"}),
    "audience is a list with ours": signed(body={"aud": [AUDIENCE, "other"]}),
    "no expiry": without("exp"),
    "no issue time": without("iat"),
    "no session": without("sid"),
    "no organization": without("org"),
    "no subject": without("sub"),
    "expiry is text": signed(body={"exp": "9999999999"}),
    "expiry is a fraction": signed(body={"exp": BODY["exp"] + 0.5}),
    "expiry is true": signed(body={"exp": True}),
    "expired": signed(body={"iat": BODY["iat"] - 1000, "exp": BODY["iat"] - 100}),
    "expires now": signed(body={"iat": BODY["iat"] - 900, "exp": BODY["iat"]}),
    "from the future": signed(body={"iat": BODY["iat"] + 3600, "exp": BODY["iat"] + 4500}),
    "lives for years": signed(body={"exp": BODY["iat"] + 10**8}),
    "beyond time": signed(body={"exp": 10**30}),
    "subject is a number": signed(body={"sub": 1}),
    "huge": signed(body={"padding": "x" * 10_000}),
    "NUL": "\x00.\x00.\x00",
    "not ASCII": "é.ü.ß",
}


def test_our_own_token_is_read() -> None:
    assert read(GOOD) == CLAIMS
    assert read(GOOD, NOW + timedelta(minutes=14, seconds=59)) == CLAIMS


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_token_is_refused(forged: str) -> None:
    with pytest.raises(Unauthenticated):
        read(FORGED[forged])
