"""What a use costs: usage and one version of the price book give micro-credits and their explanation.

The most specific price wins, compared in this order:
1. `organization`: a price agreed with the organization before the general one;
2. `model`: exact, then the longest prefix pattern (`gpt-4*`), then any model;
3. `service`, 4. `provider`: named before any;
5. `item`: the token class itself, then what it falls back to (see `FALLBACKS`).
A price marked `default` is taken last of all and flags the rating as unpriced; so does `LAST_RESORT`, for a
book that does not even have a default. Nothing that has a quantity is free for want of a price.

All arithmetic is on integers; each line is rounded half up to a micro-credit and the total is the sum of the
lines. `status` does not matter: failed and cancelled usage is charged for exactly the quantities that it tells.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from operator import attrgetter
from typing import Final, NamedTuple

from contracts.events.usage import TOKEN_CLASSES, UsageRecordedV1

FALLBACKS: Final[dict[str, tuple[str, ...]]] = {
    "input_tokens": ("input_tokens", "tokens"),
    "cached_input_tokens": ("cached_input_tokens", "input_tokens", "tokens"),
    "cache_write_tokens": ("cache_write_tokens", "input_tokens", "tokens"),
    "output_tokens": ("output_tokens", "tokens"),
    "reasoning_tokens": ("reasoning_tokens", "output_tokens", "tokens"),
    "audio_tokens": ("audio_tokens", "input_tokens", "tokens"),
    "image_tokens": ("image_tokens", "input_tokens", "tokens"),
}
"""The items whose price a token class takes, in this order; a unit takes only its own."""

_tokens: Final = attrgetter(*TOKEN_CLASSES)
_QUANTITY_SCALE: Final = 6
_MEMORY: Final = 10_000
"""Combinations of organization, service, provider and model that a book remembers; more and it starts anew."""

_EXACT: Final = 1_000


class Price(NamedTuple):
    """`price_micros` for every `per` of `item` (a token class, `tokens`, or a unit); None matches anything."""

    item: str
    price_micros: int
    per: int = 1
    model: str | None = None
    service: str | None = None
    provider: str | None = None
    organization: str | None = None
    default: bool = False


class Line(NamedTuple):
    """One line of a rating: `quantity` of `item` at `price_micros` per `per` makes `micros`."""

    item: str
    quantity: str
    price_micros: int
    per: int
    micros: int


class Rating(NamedTuple):
    """The charge, why it is what it is, and whether some line had no price of its own (`unpriced`)."""

    micros: int
    lines: tuple[Line, ...]
    price_version: int
    unpriced: bool


LAST_RESORT: Final = {
    item: Price(item, 10_000_000, 1_000, default=True) if item in FALLBACKS else Price(item, 1_000_000, default=True)
    for item in (*TOKEN_CLASSES, "image", "second", "minute", "video", "call", "character", "byte")
}
"""What an item costs when the book has no price for it at all: 10 credits per 1,000 tokens, 1 per unit."""

Key = tuple[str | None, str, str | None, str | None]


@dataclass(frozen=True, slots=True)
class PriceBook:
    """One version of the prices; holds from `effective_from` until the next version does."""

    version: int
    effective_from: datetime
    prices: tuple[Price, ...]
    _organizations: frozenset[str] = field(init=False, repr=False, compare=False)
    _remembered: dict[Key, dict[str, Price]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        named = frozenset(price.organization for price in self.prices if price.organization is not None)
        object.__setattr__(self, "_organizations", named)

    def prices_of(
        self, organization: str | None, service: str, provider: str | None, model: str | None
    ) -> dict[str, Price]:
        """The price of every item for such a use; the same answer is remembered, it never changes."""
        key = (organization if organization in self._organizations else None, service, provider, model)
        found = self._remembered.get(key)
        if found is None:
            if len(self._remembered) >= _MEMORY:
                self._remembered.clear()
            found = self._remembered[key] = {item: _best(self.prices, item, key) for item in LAST_RESORT}
        return found


def book_at(books: Sequence[PriceBook], instant: datetime) -> PriceBook:
    """The version in force at the instant: the latest begun, of two begun together the higher version.

    Before the first version begins, the first holds. Raises: ValueError without any version.
    """
    begun = [book for book in books if book.effective_from <= instant]
    if len(begun) == 1:
        return begun[0]
    if begun:
        return max(begun, key=lambda book: (book.effective_from, book.version))
    return min(books, key=lambda book: (book.effective_from, -book.version))


def rate(usage: UsageRecordedV1, book: PriceBook, organization: str | None = None) -> Rating:
    """What the usage costs under this version, line by line."""
    prices = book.prices_of(organization, usage.service, usage.provider, usage.model)
    lines: list[Line] = []
    unpriced = False
    for item, tokens in zip(TOKEN_CLASSES, _tokens(usage), strict=True):
        if tokens:
            price = prices[item]
            unpriced = unpriced or price.default
            lines.append(_line(item, str(tokens), tokens, 0, price))
    if usage.unit is not None and usage.quantity:
        price = prices[usage.unit]
        unpriced = unpriced or price.default
        scaled = int(usage.quantity.scaleb(_QUANTITY_SCALE))
        lines.append(_line(usage.unit, f"{usage.quantity:f}", scaled, _QUANTITY_SCALE, price))
    return Rating(sum([line.micros for line in lines]), tuple(lines), book.version, unpriced)


def _line(item: str, shown: str, amount: int, scale: int, price: Price) -> Line:
    divisor = price.per * 10**scale
    micros = (2 * amount * price.price_micros + divisor) // (2 * divisor)
    if price.default:
        micros = max(micros, 1)
    return Line(item, shown, price.price_micros, price.per, micros)


def _best(prices: tuple[Price, ...], item: str, use: Key) -> Price:
    """The winner among the prices that match; equal ones are told apart by the price of one unit, the dearer first."""
    fitting = [(rank, price) for price in prices if (rank := _rank(price, item, use)) is not None]
    if not fitting:
        return LAST_RESORT[item]
    return max(fitting, key=lambda ranked: (ranked[0], Fraction(ranked[1].price_micros, ranked[1].per)))[1]


def _rank(price: Price, item: str, use: Key) -> tuple[int, ...] | None:
    """How specific the price is for this use, more is better; None when it does not match."""
    organization, service, provider, model = use
    fallbacks = FALLBACKS.get(item, (item,))
    fit = match(price.model, model)
    if price.item not in fallbacks or fit is None:
        return None
    pairs = ((price.organization, organization), (price.service, service), (price.provider, provider))
    if any(wanted is not None and wanted != given for wanted, given in pairs):
        return None
    named = [int(wanted is not None) for wanted, _ in pairs]
    return (int(not price.default), named[0], fit, named[1], named[2], -fallbacks.index(price.item))


def match(pattern: str | None, name: str | None) -> int | None:
    """How well the name fits the pattern: exact above any prefix, longer prefixes above shorter, 0 for "any".

    None when it does not fit. Upper and lower case are the same; only a `*` at the end stands for anything.
    """
    if pattern is None:
        return 0
    if name is None:
        return None
    wanted, given = pattern.casefold(), name.casefold()
    if wanted.endswith("*"):
        return len(wanted) if given.startswith(wanted[:-1]) else None
    return _EXACT if given == wanted else None
