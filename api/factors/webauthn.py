"""WebAuthn level 3 as a relying party (section 7): what browsers are asked, and whether what they answer is right."""

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography, options_to_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from infra.postgres.passkeys import PasskeyRow
from infra.postgres.users import UserRow

TIMEOUT_MS: Final = 300_000
_BROKEN: Final = (WebAuthnException, ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError)
"""What the library raises for bytes that are no credential: its own errors, and Python's where it trusts them."""


class RelyingParty(NamedTuple):
    """Who asks: the host that passkeys are bound to, and the one origin that may speak for it."""

    id: str
    origin: str

    @classmethod
    def of(cls, public_url: str) -> "RelyingParty":
        """The hub at this address."""
        parts = urlsplit(public_url)
        return cls(parts.hostname or "localhost", f"{parts.scheme}://{parts.netloc}".lower())


class Registered(NamedTuple):
    """A passkey that a browser has made."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    backed_up: bool


class Asserted(NamedTuple):
    """A passkey that was used. `method` as RFC 8176 names it: hwk stays in its device, swk is copied between some."""

    sign_count: int
    backed_up: bool
    method: str


def creation_options(
    party: RelyingParty, user: UserRow, challenge: bytes, known: Iterable[PasskeyRow]
) -> dict[str, Any]:
    """What the browser's `navigator.credentials.create` takes, as JSON."""
    options = webauthn.generate_registration_options(
        rp_id=party.id,
        rp_name="Smart AI Hub",
        user_id=user.id.encode(),
        user_name=user.email or user.id,
        user_display_name=user.name or user.email or user.id,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[_descriptor(one) for one in known],
    )
    return dict(json.loads(options_to_json(options)))


def request_options(party: RelyingParty, challenge: bytes, allowed: Iterable[PasskeyRow] = ()) -> dict[str, Any]:
    """What the browser's `navigator.credentials.get` takes, as JSON; nothing allowed: whichever it has."""
    options = webauthn.generate_authentication_options(
        rp_id=party.id,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        allow_credentials=[_descriptor(one) for one in allowed],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return dict(json.loads(options_to_json(options)))


def registered(party: RelyingParty, credential: dict[str, Any], challenge: bytes) -> Registered | None:
    """The new passkey; None when the answer does not fit what was asked."""
    try:
        found = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
        decoded_public_key_to_cryptography(decode_credential_public_key(found.credential_public_key))
    except _BROKEN:
        return None
    return Registered(found.credential_id, found.credential_public_key, found.sign_count, found.credential_backed_up)


def asserted(party: RelyingParty, credential: dict[str, Any], challenge: bytes, passkey: PasskeyRow) -> Asserted | None:
    """How the passkey was used; None when signature, challenge, origin, host or user verification do not fit.

    Whether its counter went up is for the caller: the store decides that, once.
    """
    try:
        found = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except _BROKEN:
        return None
    copied = found.credential_device_type == CredentialDeviceType.MULTI_DEVICE
    return Asserted(found.new_sign_count, found.credential_backed_up, "swk" if copied else "hwk")


def _descriptor(row: PasskeyRow) -> PublicKeyCredentialDescriptor:
    transports = [AuthenticatorTransport(one) for one in row.transports]
    return PublicKeyCredentialDescriptor(id=row.credential_id, transports=transports or None)
