"""JSON of organizations."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from contracts.rules.policy import Policy
from contracts.types import Text

_ID = "org_019ab0c2f3e47d5a8b1c2d3e4f506172"


class NewOrganization(BaseModel):
    """An organization to make."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "Example Ltd"}]})

    name: Text


class OrganizationChange(BaseModel):
    """What to change of an organization; what is not sent stays. A policy that is sent replaces the one before."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "Example Ltd", "policy": {"mfa_required": True}}]}
    )

    name: Text | None = None
    policy: Policy | None = None
    plan: Text | None = Field(default=None, description="By platform staff only: system:organizations")


class OrganizationOut(BaseModel):
    """One organization."""

    id: str = Field(examples=[_ID])
    name: str = Field(examples=["Example Ltd"])
    plan: str = Field(examples=["unlimited"])
    policy: Policy
    created_at: datetime
    updated_at: datetime | None


class MembershipOut(BaseModel):
    """An organization that one belongs to."""

    organization_id: str = Field(examples=[_ID])
    name: str = Field(examples=["Example Ltd"])
    owner: bool
    joined_at: datetime
