"""Ledger: what was booked, stated by the ledger in the transaction that booked it."""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from contracts import topics
from contracts.events.base import EventData
from contracts.events.credits import GrantSource
from contracts.types import INT64_MAX, Instant, LongText, MicroCredits, PositiveMicroCredits, Text

Sum = Annotated[int, Field(strict=True, ge=0, le=INT64_MAX)]
"""A sum or a product of what an event may hold: larger than any `Count`, within 64 bits."""


class BookedLine(BaseModel):
    """One line of a rating: `quantity` of `item` at `price_micros` per `per`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    item: Text
    quantity: str
    price_micros: int
    per: int
    micros: int


class LedgerFact(EventData):
    """Base of what the ledger states: the transaction and the balances after it."""

    TOPIC: ClassVar = topics.LEDGER

    transaction_id: Text
    available_micros: MicroCredits
    debt_micros: MicroCredits


_AFTER: dict[str, Any] = {
    "transaction_id": "txn_019ab0c2",
    "available_micros": 95_820_000,
    "debt_micros": 0,
}


class ChargeBookedV1(LedgerFact):
    """Usage was priced and charged; `event_source` and `event_id` name the usage event."""

    TYPE: ClassVar[str] = "ledger.charge.booked.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        **_AFTER,
        "event_source": "urn:example:chat",
        "event_id": "evt_0199",
        "used_at": "2026-11-23T07:30:00.123456Z",
        "amount_micros": 4_180_000,
        "from_debt_micros": 0,
        "price_version": 1,
        "service": "chat",
        "provider": "openai",
        "model": "gpt-4o",
        "user": "user_42",
        "team": "research",
        "input_tokens": 374,
        "output_tokens": 44,
        "total_tokens": 418,
        "lines": [
            {"item": "input_tokens", "quantity": "374", "price_micros": 10_000_000, "per": 1000, "micros": 3_740_000},
            {"item": "output_tokens", "quantity": "44", "price_micros": 10_000_000, "per": 1000, "micros": 440_000},
        ],
    }

    event_source: Text
    event_id: Text
    used_at: Instant
    amount_micros: Sum
    from_debt_micros: Sum = 0
    price_version: int
    service: Text
    provider: Text | None = None
    model: Text | None = None
    user: Text | None = None
    team: Text | None = None
    input_tokens: Sum = 0
    output_tokens: Sum = 0
    total_tokens: Sum = 0
    lines: tuple[BookedLine, ...] = ()


class GrantBookedV1(LedgerFact):
    """Credits were added; what was owed was repaid first."""

    TYPE: ClassVar[str] = "ledger.grant.booked.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        **_AFTER,
        "grant_id": "grant_019ab0c2",
        "source": "purchase",
        "amount_micros": 100_000_000,
        "repaid_debt_micros": 0,
        "expires_at": None,
        "reason": "Package of 100 credits",
    }

    grant_id: Text
    source: GrantSource
    amount_micros: PositiveMicroCredits
    repaid_debt_micros: Sum = 0
    expires_at: Instant | None = None
    reason: LongText | None = None


class AdjustmentBookedV1(LedgerFact):
    """Credits were taken by a person, with a reason."""

    TYPE: ClassVar[str] = "ledger.adjustment.booked.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {**_AFTER, "amount_micros": -5_000_000, "reason": "Test credits taken back"}

    amount_micros: MicroCredits
    reason: LongText | None = None


class ExpiryBookedV1(LedgerFact):
    """What was left of a grant ended with it."""

    TYPE: ClassVar[str] = "ledger.expiry.booked.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        **_AFTER,
        "grant_id": "grant_019ab0c2",
        "amount_micros": 12_000_000,
        "expired_at": "2026-12-01T00:00:00.000000Z",
    }

    grant_id: Text
    amount_micros: PositiveMicroCredits
    expired_at: Instant


class ModelUnpricedV1(LedgerFact):
    """A model without a price of its own was charged at the default price: add one to the price book."""

    TYPE: ClassVar[str] = "ledger.model.unpriced.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {**_AFTER, "service": "chat", "model": "gpt-99", "price_version": 1}

    service: Text
    model: Text | None = None
    price_version: int


class BalanceCrossing(LedgerFact):
    """Base of the threshold events: stated once per crossing."""

    threshold_micros: MicroCredits


_CROSSING: dict[str, Any] = {**_AFTER, "available_micros": 9_000_000, "threshold_micros": 10_000_000}


class BalanceLowV1(BalanceCrossing):
    """What is available fell below the organization's threshold."""

    TYPE: ClassVar[str] = "credits.balance.low.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = _CROSSING


class BalanceDepletedV1(BalanceCrossing):
    """Nothing is available any more; usage from now on is owed."""

    TYPE: ClassVar[str] = "credits.balance.depleted.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {**_CROSSING, "available_micros": 0, "threshold_micros": 0}


class BalanceRecoveredV1(BalanceCrossing):
    """What is available rose above the threshold again."""

    TYPE: ClassVar[str] = "credits.balance.recovered.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {**_CROSSING, "available_micros": 60_000_000}
