"""JSON of members and invitations."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from api.core.emails import Email
from contracts.types import Text

_USER = "user_019ab0c2f3e47d5a8b1c2d3e4f506172"


class RoleOfMember(BaseModel):
    """A role that a member has; `team_id` null: in the whole organization."""

    role_id: str = Field(examples=["manager"])
    team_id: str | None = Field(examples=["team_019ab0c2f3e47d5a8b1c2d3e4f506172"])


class MemberOut(BaseModel):
    """One member; owners hold what admins hold, whatever their roles."""

    user_id: str = Field(examples=[_USER])
    email: str | None = Field(examples=["somchai@example.com"])
    name: str | None = Field(examples=["Somchai"])
    status: Literal["active", "disabled", "erased"]
    owner: bool
    joined_at: datetime
    roles: list[RoleOfMember]


class TransferIn(BaseModel):
    """Who owns the organization from now on, instead of the one who asks."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"user_id": _USER}]})

    user_id: Text


class StatusOut(BaseModel):
    """A person's account."""

    user_id: str = Field(examples=[_USER])
    status: Literal["active", "disabled", "erased"]


class InvitationIn(BaseModel):
    """Somebody to invite, and the role that they will have."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"email": "malee@example.com", "role_id": "user"}]}
    )

    email: Email
    role_id: Text = "user"


class InvitationOut(BaseModel):
    """One invitation."""

    id: str = Field(examples=["inv_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    email: str = Field(examples=["malee@example.com"])
    role_id: str = Field(examples=["user"])
    invited_by: str = Field(examples=[_USER])
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    revoked_at: datetime | None


class AcceptIn(BaseModel):
    """The token of the mail."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"token": "5yPK0lq8uV2l3nT9mQwErTyUiOpAsDfGhJkLzXcVbNm"}]}
    )

    token: Text


class JoinedOut(BaseModel):
    """The organization that one belongs to now."""

    organization_id: str = Field(examples=["org_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    role_id: str = Field(examples=["user"])
