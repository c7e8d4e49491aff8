"""JSON of the analytics resource."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.types import Instant
from infra.clickhouse.usage import Dimension, Measure

Value = Annotated[str, Field(max_length=255)]
Values = Annotated[list[Value], Field(max_length=100, description="Only these; empty: only what does not tell it")]


class PeriodIn(BaseModel):
    """From when to when, and of what; a filter given several times keeps what has one of the values."""

    model_config = ConfigDict(extra="forbid")

    start: Instant | None = Field(default=None, alias="from", description="Inclusive; without it: 30 days before `to`")
    end: Instant | None = Field(default=None, alias="to", description="Exclusive; without it: now")
    service: Values = []
    provider: Values = []
    model: Values = []
    operation: Values = []
    user: Values = []
    team: Values = []
    api_key: Values = []
    status: Values = []


class UsageIn(PeriodIn):
    """A time series: in which windows and groups."""

    window: Literal["minute", "hour", "day", "month", "all"] = Field(
        default="day", description="`all`: one window over the whole period"
    )
    zone: str = Field(default="UTC", max_length=64, description="IANA time zone of the windows")
    group_by: list[Dimension] = Field(default=[], max_length=8, description="May be given several times")


class SummaryIn(PeriodIn):
    """Totals and the top models by a measure."""

    by: Measure = Field(default="credits_micros", description="What makes a model a top model")
    limit: int = Field(default=10, ge=1, le=100, description="Top models")


class Sums(BaseModel):
    """Sums over events, each counted once. Token classes are disjoint."""

    events: int = Field(examples=[2])
    input_tokens: int = Field(examples=[748])
    cached_input_tokens: int = Field(examples=[0])
    cache_write_tokens: int = Field(examples=[0])
    output_tokens: int = Field(examples=[88])
    reasoning_tokens: int = Field(examples=[0])
    audio_tokens: int = Field(examples=[0])
    image_tokens: int = Field(examples=[0])
    total_tokens: int = Field(examples=[836])
    quantities: dict[str, Decimal] = Field(examples=[{"image": "3.000000"}], description="By unit")
    credits_micros: int = Field(examples=[8_360_000], description="Charged for these events so far")


class UsagePoint(Sums):
    """One window and group."""

    start: datetime = Field(examples=["2026-11-23T00:00:00+01:00"], description="In the zone asked for")
    group: dict[Dimension, str | None] = Field(examples=[{"model": "gpt-4o"}], description="null: not told")


class TopModel(Sums):
    """A model with its sums."""

    model: str | None = Field(examples=["gpt-4o"], description="null: not told")


class Summary(BaseModel):
    """A period in figures."""

    totals: Sums
    top_models: list[TopModel]
    first_event_at: datetime | None
    last_event_at: datetime | None
