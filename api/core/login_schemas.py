"""JSON that every way of logging in answers with."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from infra.postgres.users import UserRow

Method = Literal["totp", "passkey", "recovery_code"]


class PersonOut(BaseModel):
    """A person, as they see themselves."""

    id: str = Field(examples=["user_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    email: str | None = Field(examples=["ada@example.com"])
    email_verified: bool = Field(examples=[True])
    name: str | None = Field(examples=["Ada"])
    locale: str = Field(examples=["en"])
    created_at: datetime
    updated_at: datetime


class OrganizationBrief(BaseModel):
    """The organization that a session acts for."""

    id: str = Field(examples=["org_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    name: str = Field(examples=["Ada"])


class TokenPair(BaseModel):
    """A session: the access token for requests, the refresh token for the next pair. Each is used once: keep both
    of the last answer. Times are in seconds from now."""

    access_token: str = Field(examples=["eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9..."])
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - RFC 6750's word
    expires_in: int = Field(examples=[900])
    refresh_token: str = Field(examples=["vFhQzv0p..."])
    refresh_expires_in: int = Field(examples=[604800])
    session_id: str = Field(examples=["ses_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    user: PersonOut
    organization: OrganizationBrief
    device_token: str | None = Field(
        default=None,
        examples=["m2m3Bq..."],
        description="Of a device that was not known: send it as `X-Device-Token` at later log-ins from here",
    )


class SecondFactor(BaseModel):
    """What is still to be proved. `challenge` is handed in with the second factor."""

    challenge: str = Field(examples=["Zk2v1mTT..."])
    methods: list[Method] = Field(examples=[["totp", "recovery_code"]])
    expires_in: int = Field(examples=[300])


class SecondStep(BaseModel):
    """The password was right; a second factor is needed too."""

    model_config = ConfigDict(title="SecondStep")

    second_factor: SecondFactor


LoginOut = TokenPair | SecondStep


def person_out(user: UserRow) -> PersonOut:
    """How a person is shown to themselves."""
    return PersonOut(
        id=user.id,
        email=user.email,
        email_verified=user.email_verified_at is not None,
        name=user.name,
        locale=user.locale,
        created_at=user.created_at,
        updated_at=user.updated_at,
    )
