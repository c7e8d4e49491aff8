"""JSON of roles."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from contracts.rules.access import is_scope
from contracts.types import Text

MAX_INHERITED = 20
_ID = "role_019ab0c2f3e47d5a8b1c2d3e4f506172"
_EXAMPLE: dict[str, Any] = {"name": "Billing", "permissions": ["credits:read", "payments:*"], "inherits": ["guest"]}


def _known(scope: str) -> str:
    if not is_scope(scope):
        raise PydanticCustomError("scope", "{scope} is not a permission", {"scope": scope})
    return scope


def _once(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


Scopes = Annotated[
    list[Annotated[Text, AfterValidator(_known)]],
    Field(max_length=100, description="Permissions, `family:*` or `*`", examples=[["credits:read"]]),
    AfterValidator(_once),
]
Inherits = Annotated[
    list[Text],
    Field(max_length=MAX_INHERITED, description="Roles whose permissions it takes in", examples=[["guest"]]),
    AfterValidator(_once),
]
Description = Annotated[str, StringConstraints(strict=True, max_length=255, pattern=r"^[^\x00]*$")]


class RoleIn(BaseModel):
    """A role to make."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    name: Text
    description: Description = ""
    permissions: Scopes = []
    inherits: Inherits = []


class RoleChange(BaseModel):
    """What to change of a role; what is not sent stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"permissions": ["credits:read"]}]})

    name: Text | None = None
    description: Description | None = None
    permissions: Scopes | None = None
    inherits: Inherits | None = None


class RoleOut(BaseModel):
    """One role. `effective`: all that it comes to, inheritance included."""

    id: str = Field(examples=[_ID])
    kind: Literal["system", "custom"]
    name: str = Field(examples=["Billing"])
    description: str = Field(examples=["Pays the bills"])
    permissions: list[str] = Field(examples=[["credits:read", "payments:*"]])
    inherits: list[str] = Field(examples=[["guest"]])
    effective: list[str] = Field(examples=[["credits:read", "organizations:read", "payments:*"]])
    created_at: datetime | None = Field(description="null: a system role")
    updated_at: datetime | None


class TemplateOut(BaseModel):
    """A set of permissions to start a role from."""

    name: str = Field(examples=["billing"])
    permissions: list[str] = Field(examples=[["credits:read", "payments:read"]])


class MatrixRow(BaseModel):
    """One permission and the roles that give it, inheritance included."""

    permission: str = Field(examples=["credits:read"])
    description: str = Field(examples=["Read balance and statement"])
    roles: list[str] = Field(examples=[["user", "manager", "admin"]])


class AssignmentOut(BaseModel):
    """A role of a member; `team_id` null: in the whole organization."""

    user_id: str = Field(examples=["user_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    role_id: str = Field(examples=["manager"])
    team_id: str | None = Field(examples=["team_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    assigned_by: str = Field(examples=["user_019ab0c2f3e47d5a8b1c2d3e4f506173"])
    assigned_at: datetime
