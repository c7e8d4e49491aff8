"""JSON of WebAuthn credentials, as browsers write them (`PublicKeyCredential.toJSON()`)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Transport = Literal["ble", "cable", "hybrid", "internal", "nfc", "smart-card", "usb"]
Base64Url = Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_-]+$", max_length=16_384)]


class _Browsers(BaseModel):
    """What a browser answers (`PublicKeyCredential.toJSON()`); what we do not read is let through."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    def plain(self) -> dict[str, Any]:
        """As WebAuthn names it."""
        return self.model_dump(by_alias=True, exclude_none=True)


class AttestationResponse(_Browsers):
    """What an authenticator says of a passkey that it has made."""

    client_data_json: Base64Url = Field(alias="clientDataJSON", examples=["eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIn0"])
    attestation_object: Base64Url = Field(alias="attestationObject", examples=["o2NmbXRkbm9uZQ"])
    transports: list[Transport] = Field(default_factory=list, max_length=10, examples=[["internal"]])


class AssertionResponse(_Browsers):
    """What an authenticator signed."""

    client_data_json: Base64Url = Field(alias="clientDataJSON", examples=["eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0"])
    authenticator_data: Base64Url = Field(alias="authenticatorData", examples=["SZYN5YgO"])
    signature: Base64Url = Field(examples=["MEUCIQD"])
    user_handle: Base64Url | None = Field(default=None, alias="userHandle", examples=["dXNlcl8x"])


class NewCredential(_Browsers):
    """A passkey that a browser has made."""

    id: Base64Url = Field(examples=["AbC1"])
    raw_id: Base64Url = Field(alias="rawId", examples=["AbC1"])
    type: Literal["public-key"] = "public-key"
    response: AttestationResponse


class Assertion(_Browsers):
    """A passkey that was used."""

    id: Base64Url = Field(examples=["AbC1"])
    raw_id: Base64Url = Field(alias="rawId", examples=["AbC1"])
    type: Literal["public-key"] = "public-key"
    response: AssertionResponse
