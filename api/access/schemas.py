"""JSON of access checks."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from contracts.rules.access import PERMISSIONS
from contracts.types import Text

MAX_CHECKS = 100
_USER = "user_019ab0c2f3e47d5a8b1c2d3e4f506172"
_TEAM = "team_019ab0c2f3e47d5a8b1c2d3e4f506172"


def _known(permission: str) -> str:
    if permission not in PERMISSIONS:
        raise PydanticCustomError("permission", "{name} is not a permission", {"name": permission})
    return permission


class CheckIn(BaseModel):
    """A question: may they?"""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"permission": "credits:read", "user_id": _USER}]}
    )

    permission: Annotated[Text, AfterValidator(_known)]
    user_id: Text | None = Field(default=None, description="Another member (users:read); default: who asks")
    team: Text | None = Field(default=None, description="In this team, or in the whole organization")
    resource: Text | None = Field(default=None, description="The id of a thing of the organization: key_..., we_... ")


class ChecksIn(BaseModel):
    """Several questions."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"checks": [{"permission": "credits:read"}]}]}
    )

    checks: list[CheckIn] = Field(min_length=1, max_length=MAX_CHECKS)


class CheckOut(BaseModel):
    """The answer, with its reason in words."""

    allowed: bool
    reason: str = Field(examples=["held by the role User through Manager"])


class SourceOut(BaseModel):
    """Where a permission comes from: the role `through` was assigned, its ancestor (or itself) `role` has `scope`."""

    role: str = Field(examples=["user"])
    through: str = Field(examples=["manager"])
    scope: str = Field(examples=["credits:read"])
    team_id: str | None = Field(examples=[_TEAM], description="null: in the whole organization")


class HeldOut(BaseModel):
    """One permission that somebody holds, and every way in which they do."""

    permission: str = Field(examples=["credits:read"])
    sources: list[SourceOut]


class PermissionsOut(BaseModel):
    """What a member holds; owners hold what admins hold."""

    user_id: str = Field(examples=[_USER])
    status: Literal["active", "disabled", "erased"]
    owner: bool
    permissions: list[HeldOut]
