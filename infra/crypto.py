"""Keys and their hashes."""

import base64
import hashlib
import hmac
import secrets
import zlib

KEY_PREFIX = "aihub_live_"


def new_api_key() -> str:
    """A fresh API key: `aihub_live_`, 32 random bytes and a checksum, so that scanners can tell a real one."""
    body = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    return f"{KEY_PREFIX}{body}{_checksum(body)}"


def looks_like_api_key(key: str) -> bool:
    """Whether prefix and checksum fit: a typing error is refused without asking the database."""
    body = key.removeprefix(KEY_PREFIX)
    return key.startswith(KEY_PREFIX) and len(body) > 8 and hmac.compare_digest(_checksum(body[:-8]), body[-8:])


def hash_api_key(key: str, pepper: bytes) -> bytes:
    """What is stored of a key: HMAC-SHA-256 under the hub's pepper (keys are random: no slow hash is needed)."""
    return hmac.new(pepper, key.encode(), hashlib.sha256).digest()


def new_webhook_secret() -> str:
    """A fresh signing secret in the form of Standard Webhooks: `whsec_` and 24 random bytes in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
