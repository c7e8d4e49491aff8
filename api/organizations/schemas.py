"""JSON of organizations and API keys."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from contracts.rules.access import is_scope
from contracts.types import Instant, LongText, Text


class OrganizationIn(BaseModel):
    """An organization to make."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "Example Ltd"}]})

    name: Text


class OrganizationOut(BaseModel):
    """One organization."""

    id: str = Field(examples=["org_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    name: str = Field(examples=["Example Ltd"])
    created_at: datetime


class KeyIn(BaseModel):
    """An API key to make."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "production", "scopes": ["events:write"]}]}
    )

    name: Text
    scopes: list[Text] = Field(min_length=1, max_length=50, description="Permissions, `family:*` or `*`")
    organization_id: Text | None = Field(default=None, description="Another organization: system:any_organization")
    expires_at: Instant | None = None

    @field_validator("scopes")
    @classmethod
    def _known(cls, scopes: list[str]) -> list[str]:
        for scope in scopes:
            if not is_scope(scope):
                raise PydanticCustomError("scope", "{scope} is not a permission", {"scope": scope})
        return sorted(set(scopes))


class KeyOut(BaseModel):
    """One API key; `key` is shown once, when it is made."""

    id: str = Field(examples=["key_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    organization_id: str = Field(examples=["org_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    name: str = Field(examples=["production"])
    hint: str = Field(examples=["aihub_live_Fsav...4371"])
    scopes: list[str] = Field(examples=[["events:write"]])
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    key: str | None = Field(default=None, examples=["aihub_live_..."], description="Shown once")


class RevokeIn(BaseModel):
    """Why a key is revoked."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "leaked"}]})

    reason: LongText | None = None
