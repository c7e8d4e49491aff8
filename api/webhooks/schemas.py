"""JSON of the webhooks resource."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from contracts.types import LongText

State = Literal["pending", "succeeded", "dead", "held"]
EventTypes = Annotated[
    list[Annotated[str, Field(max_length=64)]],
    Field(min_length=1, max_length=50, description="Event types; `credits.*` takes a family, `*` everything"),
]
Headers = Annotated[dict[str, str], Field(max_length=16, description="Sent with every delivery; values are hidden")]

_EXAMPLE: dict[str, Any] = {
    "url": "https://example.com/hooks/aihub",
    "event_types": ["credits.*", "service.failed"],
    "description": "Billing",
}


class EndpointIn(BaseModel):
    """An endpoint to make."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    url: str = Field(min_length=1, max_length=2000, description="https; http for loopback in development only")
    event_types: EventTypes
    description: LongText | None = None
    headers: Headers = Field(default_factory=dict)
    enabled: StrictBool = True


class EndpointChange(BaseModel):
    """What to change; what is left out stays. Enabling resumes deliveries that were held."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"enabled": True}]})

    url: str | None = Field(default=None, min_length=1, max_length=2000)
    event_types: EventTypes | None = None
    description: LongText | None = None
    headers: Headers | None = None
    enabled: StrictBool | None = None


class EndpointOut(BaseModel):
    """An endpoint. `secret` is in the answers that make it or rotate it, and nowhere else."""

    id: str = Field(examples=["we_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    url: str = Field(examples=["https://example.com/hooks/aihub"])
    description: str | None = Field(examples=["Billing"])
    event_types: list[str] = Field(examples=[["credits.*", "service.failed"]])
    headers: dict[str, str] = Field(examples=[{"Authorization": "********"}])
    enabled: bool
    disabled_at: datetime | None = Field(examples=[None])
    disabled_reason: str | None = Field(examples=["answered 410 Gone"])
    failures: int = Field(examples=[0], description="Failed attempts since the last success")
    failing_since: datetime | None = Field(examples=[None])
    paused_until: datetime | None = Field(examples=[None], description="Left alone until then: it failed too often")
    created_at: datetime
    updated_at: datetime


class EndpointWithSecret(EndpointOut):
    """An endpoint and the secret that signs from now on: keep it, it is not shown again."""

    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])


class RotateIn(BaseModel):
    """How long the old secret goes on signing beside the new one."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"overlap_hours": 24}]})

    overlap_hours: Annotated[int, Field(strict=True, ge=0, le=168)] = 24


class TestIn(BaseModel):
    """Which type's example to send."""

    __test__ = False  # not a test, whatever pytest thinks of the name

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"event_type": "credits.low"}]})

    event_type: str = Field(default="credits.charged", max_length=64)


class AttemptOut(BaseModel):
    """One attempt and what came back; at most 16 KiB of the body."""

    number: int = Field(examples=[1])
    at: datetime
    duration_ms: int = Field(examples=[87])
    outcome: str = Field(examples=["failed"])
    status: int | None = Field(examples=[500])
    error: str | None = Field(examples=["answered 500"])
    headers: dict[str, str] = Field(examples=[{"content-type": "text/plain"}])
    body: str = Field(examples=["oops"])


class DeliveryOut(BaseModel):
    """One event for one endpoint."""

    id: str = Field(examples=["whd_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    endpoint_id: str = Field(examples=["we_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    message_id: str = Field(examples=["msg_019ab0c2f3e47d5a8b1c2d3e4f506172"], description="The `webhook-id` header")
    event_type: str = Field(examples=["credits.charged"])
    event: dict[str, str] = Field(examples=[{"source": "/hub/ledger", "id": "evt_0199"}])
    state: State
    attempts: int = Field(examples=[1])
    next_attempt_at: datetime | None
    last_status: int | None = Field(examples=[204])
    last_error: str | None = Field(examples=[None])
    created_at: datetime
    finished_at: datetime | None


class DeliveryWithAttempts(DeliveryOut):
    """One delivery and every attempt to make it."""

    attempts_log: list[AttemptOut]


class SentOut(BaseModel):
    """A test delivery that is on its way."""

    delivery_id: str = Field(examples=["whd_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    message_id: str = Field(examples=["msg_019ab0c2f3e47d5a8b1c2d3e4f506172"])


class EventTypeOut(BaseModel):
    """An event type that can be subscribed to."""

    name: str = Field(examples=["credits.low"])
    description: str = Field(examples=["The balance fell below the threshold"])
    json_schema: dict[str, Any] = Field(description="JSON Schema of `data`, beside `data.event`")
    example: dict[str, Any] = Field(description="A body as it is sent")
