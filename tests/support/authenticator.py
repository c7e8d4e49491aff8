"""A software authenticator (WebAuthn level 3, section 6) and the browser in front of it (section 5)."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40
_COUNTER = 4


def b64(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unb64(text: str) -> bytes:
    """The bytes."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Credential:
    """What the authenticator keeps of one passkey."""

    id: bytes
    rp_id: str
    user_handle: bytes
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    counter: int = 0


@dataclass
class Authenticator:
    """Honest unless told otherwise: another origin, another host, nobody verified, a counter that stands or is absent.

    `synced`: its passkeys are copied between devices, as those of phones are.
    """

    origin: str = "http://localhost:8080"
    verifies: bool = True
    counts: bool = True
    synced: bool = False
    ed25519: bool = False
    rp_id: str | None = None
    credentials: list[Credential] = field(default_factory=list)

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """What `navigator.credentials.create` gives, as JSON."""
        known = {unb64(one["id"]) for one in options.get("excludeCredentials", ())}
        assert not known & {one.id for one in self.credentials}, "InvalidStateError: this authenticator is known"
        assert {"type": "public-key", "alg": -8 if self.ed25519 else -7} in options["pubKeyCredParams"]
        key = ed25519.Ed25519PrivateKey.generate() if self.ed25519 else ec.generate_private_key(ec.SECP256R1())
        one = Credential(secrets.token_bytes(32), options["rp"]["id"], unb64(options["user"]["id"]), key)
        self.credentials.append(one)
        attested = bytes(16) + len(one.id).to_bytes(2, "big") + one.id + cbor2.dumps(_cose(key))
        statement = {"fmt": "none", "attStmt": {}, "authData": self._data(one, ATTESTED) + attested}
        response = {
            "clientDataJSON": b64(self._client_data("webauthn.create", options["challenge"])),
            "attestationObject": b64(cbor2.dumps(statement)),
            "transports": ["internal"],
        }
        return {"id": b64(one.id), "rawId": b64(one.id), "type": "public-key", "response": response,
                "clientExtensionResults": {}, "authenticatorAttachment": "platform"}  # fmt: skip

    def get(self, options: dict[str, Any]) -> dict[str, Any]:
        """What `navigator.credentials.get` gives, as JSON."""
        allowed = {unb64(one["id"]) for one in options.get("allowCredentials", ())}
        one = next(one for one in reversed(self.credentials) if not allowed or one.id in allowed)
        one.counter += self.counts
        client_data, data = self._client_data("webauthn.get", options["challenge"]), self._data(one, 0)
        signed = data + hashlib.sha256(client_data).digest()
        if isinstance(one.key, ed25519.Ed25519PrivateKey):
            signature = one.key.sign(signed)
        else:
            signature = one.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        response = {"clientDataJSON": b64(client_data), "authenticatorData": b64(data),
                    "signature": b64(signature), "userHandle": b64(one.user_handle)}  # fmt: skip
        return {"id": b64(one.id), "rawId": b64(one.id), "type": "public-key", "response": response,
                "clientExtensionResults": {}}  # fmt: skip

    def _client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def _data(self, one: Credential, more: int) -> bytes:
        flags = PRESENT | more | (VERIFIED if self.verifies else 0)
        flags |= (ELIGIBLE | BACKED_UP) if self.synced else 0
        host = hashlib.sha256((self.rp_id or one.rp_id).encode()).digest()
        return host + bytes((flags,)) + one.counter.to_bytes(_COUNTER, "big")


def _cose(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> dict[int, Any]:
    """The public key as RFC 9053 writes it."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return {1: 1, 3: -8, -1: 6, -2: key.public_key().public_bytes_raw()}
    point = key.public_key().public_numbers()
    return {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
