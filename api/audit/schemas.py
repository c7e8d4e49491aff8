"""JSON of the audit trail."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class AuditEvent(BaseModel):
    """One thing that happened. `address` is `erased` once the person's data was; `hash` chains it to the one before."""

    seq: int = Field(examples=[42])
    type: str = Field(examples=["auth.role.assigned.v1"])
    source: str = Field(examples=["/hub/auth"])
    id: str = Field(examples=["evt_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    actor: str | None = Field(examples=["user_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    address: str | None = Field(examples=["192.0.2.7"])
    occurred_at: datetime
    accepted_at: datetime
    request_id: str | None = Field(examples=["req_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    data: dict[str, Any] = Field(examples=[{"user_id": "user_1", "role_id": "manager"}])
    hash: str = Field(examples=[_HASH])


class HeadIn(BaseModel):
    """A head that was noted earlier: `GET /v1/audit/head` of that time."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"seq": 42, "hash": _HASH}]})

    seq: int = Field(ge=1, le=2**62)
    hash: Hash


class HeadOut(BaseModel):
    """Where the chain ends: keep it elsewhere; whoever rewrites the trail cannot rewrite that."""

    organization_id: str = Field(examples=["org_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    seq: int = Field(examples=[42])
    hash: str = Field(examples=[_HASH])


class VerifyIn(BaseModel):
    """What to compare the trail with, beside its own hashes and the copy in ClickHouse."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"noted": {"seq": 42, "hash": _HASH}}]})

    noted: HeadIn | None = None


class VerdictOut(BaseModel):
    """Whether the trail is what was written. `broken_at`: number of the first event that is not."""

    intact: bool = Field(examples=[True])
    events: int = Field(examples=[42], description="How many follow from one another")
    broken_at: int | None = Field(examples=[None])
    witnessed: bool = Field(examples=[True], description="Whether the copy in ClickHouse was compared too")
    head: HeadOut


class BrokenTrail(BaseModel):
    """A trail that is not what was written."""

    organization_id: str = Field(examples=["org_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    broken_at: int = Field(examples=[7])


class AllVerdicts(BaseModel):
    """The verdict on all trails."""

    intact: bool = Field(examples=[True])
    organizations: int = Field(examples=[2])
    events: int = Field(examples=[84])
    broken: list[BrokenTrail]
