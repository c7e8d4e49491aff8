"""JSON of the credits resource. Amounts are integers in micro-credits: 1 credit = 1,000,000."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from contracts.events.credits import CreditsGrantedV1, GrantScope, GrantSource, Priority
from contracts.types import MICROS_PER_CREDIT, Instant, LongText, PositiveMicroCredits, Text

Credits = Annotated[
    Decimal,
    Field(gt=0, le=10**9, max_digits=16, decimal_places=6, allow_inf_nan=False, description="Credits, as a string"),
]


class GrantIn(BaseModel):
    """A grant to make: `amount_micros` or `credits`, one of the two."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"credits": "100", "source": "promo", "reason": "Launch promotion"}]},
    )

    amount_micros: PositiveMicroCredits | None = None
    credits: Credits | None = None
    organization_id: Text | None = Field(default=None, description="Another organization: system:any_organization")
    source: GrantSource = "bonus"
    priority: Priority = 100
    effective_at: Instant | None = None
    expires_at: Instant | None = None
    scope: GrantScope = GrantScope()
    reason: LongText | None = None

    @model_validator(mode="after")
    def _one_amount(self) -> "GrantIn":
        if (self.amount_micros is None) == (self.credits is None):
            raise PydanticCustomError("amount", "send amount_micros or credits, one of the two")
        if self.expires_at and self.effective_at and self.expires_at <= self.effective_at:
            raise PydanticCustomError("expires_before_effective", "expires_at must be later than effective_at")
        return self

    def fact(self) -> CreditsGrantedV1:
        """The grant as an event's data."""
        micros = self.amount_micros if self.credits is None else int(self.credits * MICROS_PER_CREDIT)
        same = self.model_dump(exclude={"amount_micros", "credits", "organization_id"})
        return CreditsGrantedV1.model_validate({"amount_micros": micros, **same})


class ReceiptOut(BaseModel):
    """Where the broker has an event."""

    event_id: str = Field(examples=["evt_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    source: str = Field(examples=["/credits/grants"])
    topic: str = Field(examples=["aihub.credits.v1"])
    partition: int = Field(examples=[3])
    offset: int = Field(examples=[42])
    accepted_at: datetime = Field(examples=["2026-11-23T07:30:00.200000Z"])


class LotOut(BaseModel):
    """A grant with something left, in the order in which grants are spent."""

    id: str = Field(examples=["grant_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    source: str = Field(examples=["promo"])
    priority: int = Field(examples=[100])
    amount_micros: int = Field(examples=[100_000_000])
    remaining_micros: int = Field(examples=[95_820_000])
    effective_at: datetime
    expires_at: datetime | None
    scope: dict[str, Any] = Field(examples=[{"services": [], "models": [], "teams": []}])
    reason: str | None = Field(examples=["Launch promotion"])


class Balance(BaseModel):
    """What the organization may spend, what is held, and what it owes."""

    available_micros: int = Field(examples=[95_820_000])
    held_micros: int = Field(examples=[0])
    debt_micros: int = Field(examples=[0], description="What is owed, as a positive number")
    grants: list[LotOut] = Field(description="The first 100 in the order of spending")


class TransactionOut(BaseModel):
    """One line of the statement, with the balances after it."""

    id: str = Field(examples=["txn_019ab0c2f3e47d5a8b1c2d3e4f506172"])
    seq: int = Field(examples=[17], description="Without gaps per organization")
    kind: str = Field(examples=["charge"])
    amount_micros: int = Field(examples=[4_180_000])
    available_after_micros: int = Field(examples=[95_820_000])
    debt_after_micros: int = Field(examples=[0])
    event: dict[str, str] | None = Field(examples=[{"source": "urn:example:chat", "id": "evt_0199"}])
    used_at: datetime
    accepted_at: datetime
    booked_at: datetime
    price_version: int | None = Field(examples=[1])
    reverses: str | None = Field(examples=[None])
    detail: dict[str, Any] = Field(examples=[{"service": "chat", "model": "gpt-4o"}])
