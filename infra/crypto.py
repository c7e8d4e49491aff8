"""Keys, their hashes, and what is sealed at rest."""

import base64
import hashlib
import hmac
import secrets
import zlib
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts.errors import ConfigError

KEY_PREFIX: Final = "aihub_live_"
SERVICE_PREFIX: Final = "aihub_svc_"
"""Of service credentials, which may speak for a user (`X-User-ID`)."""
SEALED: Final = "sealed:"
"""What stands before text that is sealed."""


class Sealer:
    """AES-256-GCM under keys that are derived from the hub's secret; old secrets still open what they sealed.

    A sealed value is 1 byte of version, 4 bytes that name the secret, 12 of nonce, then ciphertext and tag. It is bound
    to a `purpose` (table, column and row, say): moved to another place it does not open.
    """

    def __init__(self, secret: bytes, *previous: bytes) -> None:
        pairs = [_named_key(one) for one in (secret, *previous)]
        self._name = pairs[0][0]
        self._keys = {name: AESGCM(key) for name, key in reversed(pairs)}

    def seal(self, plain: bytes, purpose: str) -> bytes:
        """The value sealed for this purpose; another nonce each time."""
        nonce = secrets.token_bytes(12)
        return b"\x01" + self._name + nonce + self._keys[self._name].encrypt(nonce, plain, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """The value. Raises: ConfigError when no secret that we have fits, or it was sealed for another purpose."""
        key = self._keys.get(sealed[1:5])
        if sealed[:1] != b"\x01" or key is None:
            raise ConfigError("A stored secret was sealed under another AIHUB_SECRET: give it in AIHUB_SECRET_PREVIOUS")
        try:
            return key.decrypt(sealed[5:17], sealed[17:], purpose.encode())
        except InvalidTag:
            raise ConfigError(f"A stored secret for {purpose} does not open: it was changed or moved") from None

    def seal_text(self, text: str, purpose: str) -> str:
        """The same for text, as text: `sealed:` and base64."""
        return SEALED + base64.urlsafe_b64encode(self.seal(text.encode(), purpose)).decode().rstrip("=")

    def open_text(self, text: str, purpose: str) -> str:
        """The text; what was never sealed comes back as it is. Raises: ConfigError, as `open` does."""
        if not text.startswith(SEALED):
            return text
        body = text.removeprefix(SEALED)
        return self.open(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), purpose).decode()

    def is_current(self, sealed: bytes) -> bool:
        """Whether it is under the present secret; others are to be sealed anew."""
        return sealed[1:5] == self._name


def _named_key(secret: bytes) -> tuple[bytes, bytes]:
    """4 bytes that tell secrets apart and tell nothing of them, and the key."""
    name = hmac.new(secret, b"aihub sealing name", hashlib.sha256).digest()[:4]
    return name, hmac.new(secret, b"aihub sealing key", hashlib.sha256).digest()


def new_api_key(prefix: str = KEY_PREFIX) -> str:
    """A fresh API key: `aihub_live_`, 32 random bytes and a checksum, so that scanners can tell a real one."""
    body = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    return f"{prefix}{body}{_checksum(body)}"


def looks_like_api_key(key: str) -> bool:
    """Whether prefix and checksum fit: a typing error is refused without asking the database."""
    prefix = SERVICE_PREFIX if key.startswith(SERVICE_PREFIX) else KEY_PREFIX
    body = key.removeprefix(prefix)
    return key.startswith(prefix) and len(body) > 8 and hmac.compare_digest(_checksum(body[:-8]), body[-8:])


def new_secret(size: int = 32) -> str:
    """So many random bytes as URL-safe text: refresh tokens, states, links."""
    return secrets.token_urlsafe(size)


def new_code(digits: int = 6) -> str:
    """A uniformly random number of so many digits, leading zeros kept."""
    return f"{secrets.randbelow(10**digits):0{digits}d}"


def new_recovery_code() -> str:
    """80 random bits to write down: `abcd-efgh-ijkl-mnop`, of a-z and 2-7."""
    text = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, 16, 4))


def new_verified_code() -> str:
    """160 random bits to copy from a page: `VERIFIED-` and 32 of A-Z and 2-7."""
    return "VERIFIED-" + base64.b32encode(secrets.token_bytes(20)).decode()


def hash_secret(secret: str, pepper: bytes, purpose: str) -> bytes:
    """What is stored of a secret that we handed out: HMAC-SHA-256 under the hub's pepper, bound to its purpose."""
    return hmac.new(pepper, f"{purpose}\0{secret}".encode(), hashlib.sha256).digest()


def hash_api_key(key: str, pepper: bytes) -> bytes:
    """What is stored of a key: HMAC-SHA-256 under the hub's pepper (keys are random: no slow hash is needed)."""
    return hmac.new(pepper, key.encode(), hashlib.sha256).digest()


def new_webhook_secret() -> str:
    """A fresh signing secret in the form of Standard Webhooks: `whsec_` and 24 random bytes in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
