"""Access tokens: JWTs as RFC 9068 profiles them, signed with Ed25519 (RFC 8037)."""

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from joserfc import jws, jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import OKPKey

from contracts.errors import Unauthenticated

ALGORITHM: Final = "EdDSA"
TYPE: Final = "at+jwt"
LIFE: Final = timedelta(minutes=15)
LEEWAY: Final = timedelta(seconds=30)
"""How far another machine's clock may be off."""
MAX_LENGTH: Final = 4_096
_HEADER: Final = frozenset(("alg", "typ", "kid"))


class AccessClaims(NamedTuple):
    """What an access token says: who, in which session and organization, and until when. No permissions: they are
    looked up, so that a change is effective at once."""

    user_id: str
    session_id: str
    organization_id: str
    expires_at: datetime


def new_signing_key(kid: str) -> OKPKey:
    """A fresh key pair."""
    return OKPKey.generate_key("Ed25519", parameters={"kid": kid, "use": "sig", "alg": ALGORITHM}, private=True)


def sign(claims: AccessClaims, key: OKPKey, *, issuer: str, audience: str, now: datetime, token_id: str) -> str:
    """The token."""
    header = {"alg": ALGORITHM, "typ": TYPE, "kid": key.kid}
    body = {
        "iss": issuer,
        "aud": audience,
        "sub": claims.user_id,
        "sid": claims.session_id,
        "org": claims.organization_id,
        "iat": int(now.timestamp()),
        "exp": int(claims.expires_at.timestamp()),
        "jti": token_id,
    }
    with _known_name():
        return jwt.encode(header, body, key, algorithms=[ALGORITHM])


def key_id(token: str) -> str:
    """The `kid` that the token names, nothing of it believed yet. Raises: Unauthenticated."""
    header = _header(token)
    kid = header.get("kid")
    if header.keys() - _HEADER or header.get("alg") != ALGORITHM or header.get("typ") != TYPE or type(kid) is not str:
        raise _refused("it is not an access token of this hub")
    return kid


def verify(token: str, key: OKPKey, *, issuer: str, audience: str, now: datetime) -> AccessClaims:
    """The claims of a token that this key signed for us and that is in force. Raises: Unauthenticated."""
    try:
        with _known_name():
            claims: Mapping[str, Any] = jwt.decode(token, key, algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError):
        raise _refused("its signature does not fit") from None
    texts = [claims.get(name) for name in ("sub", "sid", "org")]
    times = [claims.get(name) for name in ("iat", "exp")]
    if any(type(one) is not str for one in texts) or any(type(one) is not int for one in times):
        raise _refused("claims are missing")
    if claims.get("iss") != issuer or claims.get("aud") != audience:
        raise _refused("it was made for another service")
    issued_at, expires_at = (_instant(one) for one in times)
    if issued_at > now + LEEWAY or expires_at > issued_at + LIFE:
        raise _refused("it is from the future or lives too long")
    if expires_at <= now:
        raise _refused("it has expired")
    user_id, session_id, organization_id = (str(one) for one in texts)
    return AccessClaims(user_id, session_id, organization_id, expires_at)


def _header(token: str) -> Mapping[str, Any]:
    if len(token) > MAX_LENGTH or token.count(".") != 2:
        raise _refused("it is not a JWT in compact form")
    try:
        return jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError):
        raise _refused("its header cannot be read") from None


@contextlib.contextmanager
def _known_name() -> Iterator[None]:
    """RFC 9864 renames EdDSA to Ed25519; most libraries that will check our tokens only know the older name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        yield


def _instant(seconds: Any) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        raise _refused("its times are out of range") from None


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(f"The access token is refused: {why}. Refresh it or log in again.")
