"""Credits: facts that change what an organization may spend, told by trusted sources."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from contracts import topics
from contracts.events.base import EventData
from contracts.types import Instant, LongText, MicroCredits, PositiveMicroCredits, Text

GrantSource = Literal["purchase", "promo", "bonus", "refund", "plan", "adjustment"]
Priority = Annotated[int, Field(strict=True, ge=0, le=1000, description="Lower is spent first")]


class GrantScope(BaseModel):
    """What a grant may pay for. An empty list does not restrict."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    services: tuple[Text, ...] = Field(default=(), max_length=50)
    models: tuple[Text, ...] = Field(default=(), max_length=50)
    teams: tuple[Text, ...] = Field(default=(), max_length=50)


class CreditsFact(EventData):
    """Base of the facts that trusted sources tell; `reason` is what the statement will show."""

    TOPIC: ClassVar = topics.CREDITS
    PERMISSION: ClassVar[str | None] = "credits:grant"

    reason: LongText | None = None


class CreditsGrantedV1(CreditsFact):
    """A lot of credits with its own priority, validity, scope and cost basis."""

    TYPE: ClassVar[str] = "credits.granted.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "amount_micros": 100_000_000,
        "source": "promo",
        "priority": 100,
        "effective_at": "2026-11-01T00:00:00.000000Z",
        "expires_at": "2026-12-01T00:00:00.000000Z",
        "scope": {"services": ["chat"], "models": [], "teams": []},
        "cost_basis_nanos": 0,
        "reason": "Launch promotion",
    }

    amount_micros: PositiveMicroCredits
    source: GrantSource = "bonus"
    priority: Priority = 100
    effective_at: Instant | None = Field(default=None, description="From when it may be spent; default: at once")
    expires_at: Instant | None = Field(default=None, description="Until when, exclusive; default: for ever")
    scope: GrantScope = GrantScope()
    cost_basis_nanos: Annotated[
        int, Field(strict=True, ge=0, le=10**18, description="What was paid for it, in nano-dollars")
    ] = 0

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.expires_at and self.effective_at and self.expires_at <= self.effective_at:
            raise PydanticCustomError("expires_before_effective", "expires_at must be later than effective_at")
        return self


class CreditsPurchasedV1(CreditsFact):
    """Credits that were paid for."""

    TYPE: ClassVar[str] = "credits.purchased.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "amount_micros": 1_000_000_000,
        "payment_id": "pay_51c",
        "price_paid_nanos": 80_000_000_000,
        "currency": "usd",
        "reason": "Package of 1,000 credits",
    }

    amount_micros: PositiveMicroCredits
    payment_id: Text
    price_paid_nanos: Annotated[int, Field(strict=True, ge=0, le=10**18)]
    currency: Literal["usd"] = "usd"


class CreditsRefundedV1(CreditsFact):
    """Credits given back for usage that was charged and should not have been."""

    TYPE: ClassVar[str] = "credits.refunded.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "amount_micros": 418_000,
        "refunds_source": "urn:example:chat",
        "refunds_id": "evt_0199",
        "reason": "Provider answered with an empty message",
    }

    reason: LongText
    amount_micros: PositiveMicroCredits
    refunds_source: Text | None = Field(default=None, description="`source` of the usage event that is refunded")
    refunds_id: Text | None = Field(default=None, description="`id` of the usage event that is refunded")


class CreditsAdjustedV1(CreditsFact):
    """A correction by a person: positive adds credits, negative takes them."""

    TYPE: ClassVar[str] = "credits.adjusted.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"amount_micros": -5_000_000, "reason": "Test credits taken back"}

    reason: LongText
    amount_micros: MicroCredits

    @model_validator(mode="after")
    def _moves(self) -> Self:
        if self.amount_micros == 0 or abs(self.amount_micros) > 10**15:
            raise PydanticCustomError("amount", "amount_micros must not be 0, nor beyond a billion credits")
        return self
