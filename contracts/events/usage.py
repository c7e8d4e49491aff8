"""Usage: what was consumed of which service, told once it has happened."""

from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from contracts import json_text, topics
from contracts.events.base import EventData
from contracts.types import Count, Quantity, Text

MAX_PROPERTIES: Final = 32
MAX_PROPERTY_BYTES: Final = 1024

TOKEN_CLASSES: Final = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_tokens",
    "image_tokens",
)
"""Disjoint: a token counts in one class only (input excludes cached input, output excludes reasoning)."""

Tokens = Annotated[Count, Field(description="Tokens of this class; classes are disjoint")]


class UsageRecordedV1(EventData):
    """One use of a service. Unknown keys are kept as free properties: at most 32, 1 KiB of JSON each."""

    model_config = ConfigDict(frozen=True, extra="allow")

    TYPE: ClassVar[str] = "usage.recorded.v1"
    TOPIC: ClassVar = topics.USAGE
    PERMISSION: ClassVar[str | None] = "events:write"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "service": "chat",
        "provider": "openai",
        "model": "gpt-4o",
        "operation": "chat.completions",
        "input_tokens": 374,
        "cached_input_tokens": 0,
        "cache_write_tokens": 0,
        "output_tokens": 44,
        "reasoning_tokens": 0,
        "audio_tokens": 0,
        "image_tokens": 0,
        "user": "user_42",
        "team": "research",
        "api_key": "key_7",
        "request_id": "req_9f2c",
        "duration_ms": 1840,
        "status": "succeeded",
        "region": "eu-central",
    }

    service: Text
    provider: Text | None = None
    model: Text | None = None
    operation: Text | None = None
    input_tokens: Tokens = 0
    cached_input_tokens: Tokens = 0
    cache_write_tokens: Tokens = 0
    output_tokens: Tokens = 0
    reasoning_tokens: Tokens = 0
    audio_tokens: Tokens = 0
    image_tokens: Tokens = 0
    quantity: Quantity | None = Field(default=None, description="Amount in `unit`, at most 6 decimal places")
    unit: Literal["image", "second", "minute", "video", "call", "character", "byte"] | None = None
    user: Text | None = None
    team: Text | None = None
    api_key: Text | None = Field(default=None, description="Id of the key that was used, never the key itself")
    request_id: Text | None = None
    duration_ms: Count | None = None
    status: Literal["succeeded", "failed", "cancelled"] = "succeeded"

    @property
    def properties(self) -> dict[str, Any]:
        """The free properties."""
        return self.model_extra or {}

    @property
    def total_tokens(self) -> int:
        """Tokens of all classes together."""
        return (
            self.input_tokens
            + self.cached_input_tokens
            + self.cache_write_tokens
            + self.output_tokens
            + self.reasoning_tokens
            + self.audio_tokens
            + self.image_tokens
        )

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if (self.quantity is None) != (self.unit is None):
            raise PydanticCustomError("quantity_unit", "quantity and unit belong together: send both or neither")
        extra = self.model_extra
        if extra:
            if len(extra) > MAX_PROPERTIES:
                raise PydanticCustomError(
                    "too_many_properties", f"has {len(extra)} free properties; at most {MAX_PROPERTIES}"
                )
            for key, value in extra.items():
                if len(key) > 255 or len(json_text.dump(value)) > MAX_PROPERTY_BYTES:
                    raise PydanticCustomError(
                        "property_too_large", f"free property {key[:64]!r} is larger than {MAX_PROPERTY_BYTES} bytes"
                    )
        return self
