"""JSON of teams."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from contracts.types import Text


class TeamIn(BaseModel):
    """A team to make, or its new name."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "Research"}]})

    name: Text


class TeamOut(BaseModel):
    """One team."""

    id: str = Field(examples=["team_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    name: str = Field(examples=["Research"])
    created_at: datetime
    updated_at: datetime


class TeamMemberOut(BaseModel):
    """A member of a team."""

    user_id: str = Field(examples=["user_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    email: str | None = Field(examples=["somchai@example.com"])
    name: str | None = Field(examples=["Somchai"])
    joined_at: datetime
