"""JSON of a person's data."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class PersonalData(BaseModel):
    """Everything that is kept about a person, but no secrets and hashes; usage is told by the analytics routes."""

    user: dict[str, Any]
    organizations: list[dict[str, Any]]
    roles: list[dict[str, Any]]
    teams: list[dict[str, Any]]
    sessions: list[dict[str, Any]]
    passkeys: list[dict[str, Any]]
    totp: list[dict[str, Any]]
    recovery_codes: list[dict[str, Any]]
    devices: list[dict[str, Any]]
    linked_identities: list[dict[str, Any]]
    api_keys: list[dict[str, Any]]
    events: list[dict[str, Any]] = Field(description="The newest 10,000 of what the audit trails say of the person")


class EraseIn(BaseModel):
    """Says that it is meant: it cannot be undone."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"confirm": "erase my data"}]})

    confirm: Literal["erase my data"]


class Erased(BaseModel):
    """What was erased, and when."""

    user_id: str = Field(examples=["user_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    erased_at: datetime
    left: list[str] = Field(examples=[["org_019ab0c2f3e47d5a8b1c2d3e4f506172"]], description="Organizations")
