"""The prices that a new installation starts with, to be read aloud: item, credits, per, for which models."""

from datetime import UTC, datetime
from typing import Final

from contracts.rules.pricing import Price, PriceBook
from contracts.types import MICROS_PER_CREDIT

_CREDIT = MICROS_PER_CREDIT

SEED_PRICES: Final = PriceBook(
    version=1,
    effective_from=datetime(2015, 1, 1, tzinfo=UTC),
    prices=(
        # Language models: credits per 1,000 tokens, whatever the class of the tokens.
        Price("tokens", 10 * _CREDIT, 1_000, model="gpt-4*"),
        Price("tokens", 1 * _CREDIT, 1_000, model="gpt-3.5*"),
        Price("tokens", 8 * _CREDIT, 1_000, model="claude-3*"),
        # Pictures and films, whatever the model.
        Price("image", 50 * _CREDIT),
        Price("minute", 200 * _CREDIT, service="video"),
        Price("second", 200 * _CREDIT, 60, service="video"),
        Price("video", 30 * _CREDIT, model="sora-2*"),
        # What has no price of its own: charged, and told as ledger.model.unpriced.v1.
        Price("tokens", 10 * _CREDIT, 1_000, default=True),
        Price("video", 200 * _CREDIT, default=True),
        Price("minute", 200 * _CREDIT, default=True),
        Price("second", 200 * _CREDIT, 60, default=True),
        Price("call", 1 * _CREDIT, default=True),
        Price("character", 10 * _CREDIT, 4_000, default=True),
        Price("byte", 1 * _CREDIT, 1_000_000, default=True),
    ),
)
"""In force from 2015, so that old traces are rated too."""
