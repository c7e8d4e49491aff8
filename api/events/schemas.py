"""JSON of an event's journey."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

StepState = Literal["done", "pending", "unknown", "not_applicable"]


class Step(BaseModel):
    """One step: `unknown` when the store that knows is away."""

    state: StepState = Field(examples=["done"])
    at: datetime | None = None


class Accepted(Step):
    """Where the broker has it."""

    topic: str | None = Field(default=None, examples=["aihub.usage.v1"])
    partition: int | None = Field(default=None, examples=[3])
    offset: int | None = Field(default=None, examples=[4711])


class Priced(Step):
    """What it costs, line by line."""

    price_version: int | None = Field(default=None, examples=[1])
    amount_micros: int | None = Field(default=None, examples=[4_180_000])
    lines: list[dict[str, Any]] = []


class Charged(Step):
    """The ledger's transaction."""

    transaction_id: str | None = Field(default=None, examples=["txn_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    kind: str | None = Field(default=None, examples=["charge"])
    amount_micros: int | None = Field(default=None, examples=[4_180_000])
    available_after_micros: int | None = Field(default=None, examples=[95_820_000])


class Audited(Step):
    """Its place in the audit trail."""

    seq: int | None = Field(default=None, examples=[12])


class DeliveryNote(BaseModel):
    """A delivery of it, or of what followed from it."""

    id: str = Field(examples=["whd_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    endpoint_id: str = Field(examples=["we_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    type: str = Field(examples=["ledger.charge.booked.v1"])
    state: str = Field(examples=["succeeded"])
    attempts: int = Field(examples=[1])
    last_status: int | None = Field(examples=[200])
    due_at: datetime
    finished_at: datetime | None


class DeadLetterNote(BaseModel):
    """A consumer refused it."""

    id: str
    consumer: str = Field(examples=["aihub.credits"])
    reason: str = Field(examples=["identity_conflict"])
    message: str
    state: str = Field(examples=["parked"])
    parked_at: datetime


class Journey(BaseModel):
    """How far an event has come."""

    id: str = Field(examples=["evt_0199"])
    source: str = Field(examples=["urn:example:chat"])
    organization: str = Field(examples=["org_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    state: Literal["accepted", "in_progress", "done", "dead_lettered", "unknown"] = Field(examples=["done"])
    accepted: Accepted
    priced: Priced
    charged: Charged
    analysed: Step
    audited: Audited
    deliveries: list[DeliveryNote]
    dead_letters: list[DeadLetterNote]
