"""JSON of dead letters."""

from datetime import datetime

from pydantic import BaseModel, Field


class DeadLetterOut(BaseModel):
    """A record that a consumer parked: origin, reason, and what became of it."""

    id: str = Field(examples=["dl_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    consumer: str = Field(examples=["aihub.credits"])
    topic: str = Field(examples=["aihub.usage.v1"])
    partition: int = Field(examples=[3])
    offset: int = Field(examples=[4711])
    organization: str | None = Field(examples=["org_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    event_source: str | None = Field(examples=["urn:example:chat"])
    event_id: str | None = Field(examples=["evt_0199"])
    event_type: str | None = Field(examples=["usage.recorded.v1"])
    reason: str = Field(examples=["identity_conflict"])
    message: str = Field(examples=["The same id came with another body."])
    state: str = Field(examples=["parked"])
    parked_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None = Field(examples=["key_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    redrives: int = Field(examples=[0])


class DeadLetterFull(DeadLetterOut):
    """The same with the record itself; bytes that are not UTF-8 are replaced in `value`."""

    value: str | None
    value_base64: str | None
    headers: dict[str, str]


class Decided(BaseModel):
    """What was decided about a dead letter."""

    id: str = Field(examples=["dl_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    state: str = Field(examples=["redriven"])
