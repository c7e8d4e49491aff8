"""ID tokens: what OpenID Connect Core 1.0, section 3.1.3.7, demands of them."""

import hmac
import warnings
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from joserfc import jws, jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from contracts.errors import Unauthenticated

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""Only what needs the provider's private key: never `none`, never a shared secret."""
LEEWAY: Final = timedelta(seconds=60)
MAX_AGE: Final = timedelta(hours=1)
_KEYS: Final[Mapping[str, type[RSAKey] | type[ECKey] | type[OKPKey]]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


class Expected(NamedTuple):
    """What the token must say, at this instant."""

    issuer: str
    client_id: str
    nonce: str
    now: datetime


def verify(token: str, keys: Mapping[str, Any], expected: Expected) -> dict[str, Any] | None:
    """The claims of a token that is for us, from the issuer, for this very log-in; None when its key is unknown.

    Raises: Unauthenticated.
    """
    header = _header(token)
    if header.get("alg") not in ALGORITHMS or "crit" in header:
        raise refused("its algorithm is not one that we take")
    key = _key(header, keys)
    if key is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)
            claims: dict[str, Any] = jwt.decode(token, key, algorithms=[header["alg"]]).claims
    except (JoseError, ValueError, TypeError):
        raise refused("its signature does not fit") from None
    _check(claims, expected)
    return claims


def refused(why: str) -> Unauthenticated:
    """What somebody is told whose ID token is not believed."""
    return Unauthenticated(f"The provider's ID token is refused: {why}. Begin again.")


def _check(claims: Mapping[str, Any], expected: Expected) -> None:
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    party = claims.get("azp")
    if claims.get("iss") != expected.issuer:
        raise refused("it is from another issuer")
    if expected.client_id not in audiences or (len(audiences) > 1 and party is None):
        raise refused("it was made for somebody else")
    if party is not None and party != expected.client_id:
        raise refused("it was made for somebody else")
    nonce, subject = claims.get("nonce"), claims.get("sub")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise refused("it belongs to another log-in")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isascii():
        raise refused("it names nobody")
    now, expires, issued = expected.now.timestamp(), claims.get("exp"), claims.get("iat")
    if type(expires) is not int or type(issued) is not int:
        raise refused("it has no times")
    if expires <= now - LEEWAY.total_seconds():
        raise refused("it has expired")
    if not now - MAX_AGE.total_seconds() <= issued <= now + LEEWAY.total_seconds():
        raise refused("it is too old or from the future")


def _header(token: str) -> Mapping[str, Any]:
    try:
        return jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError):
        raise refused("it cannot be read") from None


def _key(header: Mapping[str, Any], keys: Mapping[str, Any]) -> RSAKey | ECKey | OKPKey | None:
    """The issuer's key that the token names; without a name its only one."""
    listed = keys.get("keys")
    usable = (
        [one for one in listed if isinstance(one, dict) and one.get("kty") in _KEYS and one.get("use") != "enc"]
        if isinstance(listed, list)
        else []
    )
    kid = header.get("kid")
    fitting = [one for one in usable if one.get("kid") == kid] if kid is not None else usable
    if len(fitting) != 1:
        return None
    try:
        return _KEYS[fitting[0]["kty"]].import_key(fitting[0])
    except (JoseError, ValueError, TypeError):
        return None
