"""JSON of registering, logging in, sessions and oneself."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.core.emails import Email
from api.core.letters import Locale
from api.core.login_schemas import OrganizationBrief, PersonOut
from contracts.types import Text

Password = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=512)]
"""As it was typed; its rules are looked at once it is normalised."""
_PHRASE = "seven green boats at dawn"


def _example(body: dict[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [body]})


class RegisterIn(BaseModel):
    """Somebody new. Nothing else about them is taken: roles and organizations are given by others."""

    model_config = _example({"email": "ada@example.com", "password": _PHRASE, "name": "Ada", "locale": "en"})

    email: Email
    password: Password
    name: Text | None = None
    locale: Locale = "en"


class CodeSent(BaseModel):
    """A six-digit code is on its way by mail, if the address can have one; hand it in with `verification`."""

    verification: str = Field(examples=["chl_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    expires_in: int = Field(examples=[900], description="Seconds")


class VerifyIn(BaseModel):
    """The code that came by mail."""

    model_config = _example({"verification": "chl_019ab0c2f3e47d5a8b1c2d3e4f506172", "code": "042917"})

    verification: Text
    code: Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{6}$")]


class ResendIn(BaseModel):
    """What a new code is wanted for."""

    model_config = _example({"verification": "chl_019ab0c2f3e47d5a8b1c2d3e4f506172"})

    verification: Text


class LoginIn(BaseModel):
    """Who logs in."""

    model_config = _example({"email": "ada@example.com", "password": _PHRASE})

    email: Email
    password: Password


class RefreshIn(BaseModel):
    """The refresh token of the last answer."""

    model_config = _example({"refresh_token": "vFhQzv0pUq0..."})

    refresh_token: Text


class ForgotIn(BaseModel):
    """Whose password is forgotten."""

    model_config = _example({"email": "ada@example.com"})

    email: Email


class ResetIn(BaseModel):
    """The token that came by mail, and the new password."""

    model_config = _example({"token": "Hx0Yv3...", "password": _PHRASE})

    token: Text
    password: Password


class ChangePasswordIn(BaseModel):
    """The old and the new password; who has none yet leaves the old one out."""

    model_config = _example({"current_password": _PHRASE, "password": "eight blue boats at dusk"})

    current_password: Password | None = None
    password: Password


class ChangeEmailIn(BaseModel):
    """The new address; it is in force once its code came back."""

    model_config = _example({"email": "ada@lovelace.example"})

    email: Email


class OrganizationIn(BaseModel):
    """The organization to act for."""

    model_config = _example({"organization_id": "org_019ab0c2f3e47d5a8b1c2d3e4f506172"})

    organization_id: Text


class Done(BaseModel):
    """It was done, or there was nothing to do."""

    done: bool = True


class Revoked(BaseModel):
    """How many sessions were ended."""

    revoked: int = Field(examples=[2])


class Verified(BaseModel):
    """The address is proved; log in now."""

    user: PersonOut


class AccessToken(BaseModel):
    """An access token for another organization; session and refresh token stay."""

    access_token: str = Field(examples=["eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9..."])
    token_type: str = Field(default="Bearer", examples=["Bearer"])
    expires_in: int = Field(examples=[900])
    organization: OrganizationBrief


class SessionOut(BaseModel):
    """One session of one's own."""

    id: str = Field(examples=["ses_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    current: bool = Field(examples=[True], description="The session that asks")
    device: str = Field(examples=["Mozilla/5.0 ..."], description="What the client called itself")
    address: str = Field(examples=["192.0.2.7"])
    methods: list[str] = Field(examples=[["pwd", "otp"]], description="How they proved who they are (RFC 8176)")
    organization_id: str = Field(examples=["org_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    created_at: datetime
    last_used_at: datetime
    elevated_until: datetime | None
    expires_at: datetime


class MeIn(BaseModel):
    """What may be changed of oneself; what is left out stays."""

    model_config = _example({"name": "Ada Lovelace", "locale": "th"})

    name: Text | None = None
    locale: Locale | None = None


class JwkSet(BaseModel):
    """Public keys (RFC 7517)."""

    keys: list[dict[str, str]] = Field(
        examples=[[{"kty": "OKP", "crv": "Ed25519", "kid": "sk_1", "x": "11qYAY...", "use": "sig", "alg": "EdDSA"}]]
    )


class SigningKey(BaseModel):
    """The key that signs from now on."""

    id: str = Field(examples=["sk_019ab0c2f3e47d5a8b1c2d3e4f506172"])


class MailOut(BaseModel):
    """One mail; subject and body are gone once it was sent."""

    id: str = Field(examples=["mail_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    recipient: str = Field(examples=["ada@example.com"])
    occasion: str = Field(examples=["verify"])
    subject: str = Field(examples=["Your code for Smart AI Hub: 042917"])
    body: str | None = Field(default=None, description="Where one mail is read")
    created_at: datetime
    attempts: int = Field(examples=[0])
    sent_at: datetime | None
    error: str | None = Field(examples=[None])
