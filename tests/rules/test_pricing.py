"""Rating: exact, explained, never free for want of a price."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import permutations
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events.ledger import BookedLine
from contracts.events.usage import TOKEN_CLASSES, UsageRecordedV1
from contracts.rules.price_seeds import SEED_PRICES
from contracts.rules.pricing import FALLBACKS, LAST_RESORT, Price, PriceBook, book_at, match, rate

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
UNITS = get_args(get_args(UsageRecordedV1.model_fields["unit"].annotation)[0])


def book(*prices: Price, version: int = 1, effective_from: datetime = BEGIN) -> PriceBook:
    return PriceBook(version, effective_from, prices)


def use(**values: Any) -> UsageRecordedV1:
    return UsageRecordedV1(**{"service": "chat", **values})


@pytest.mark.parametrize(
    ("values", "credits"),
    [
        ({"model": "gpt-4o", "input_tokens": 374, "output_tokens": 44}, "4.18"),
        ({"model": "GPT-4-turbo", "input_tokens": 1_000}, "10"),
        ({"model": "gpt-3.5-turbo", "input_tokens": 1_000, "output_tokens": 500}, "1.5"),
        ({"model": "claude-3-opus", "reasoning_tokens": 1_000, "cached_input_tokens": 1_000}, "16"),
        ({"service": "images", "unit": "image", "quantity": 2}, "100"),
        ({"service": "video", "unit": "minute", "quantity": "1.5"}, "300"),
        ({"service": "video", "unit": "second", "quantity": 30}, "100"),
        ({"service": "video", "model": "sora-2-pro", "unit": "video", "quantity": 3}, "90"),
    ],
)
def test_the_seeds_say_what_the_requirements_say(values: dict[str, Any], credits: str) -> None:
    rating = rate(use(**values), SEED_PRICES)
    assert rating.micros == int(Decimal(credits) * 1_000_000)
    assert not rating.unpriced


def test_an_unknown_model_costs_the_default_price_and_is_flagged() -> None:
    rating = rate(use(model="gpt-99", input_tokens=1_000), SEED_PRICES)
    assert (rating.micros, rating.unpriced) == (10_000_000, True)


def test_a_book_without_any_price_still_charges() -> None:
    rating = rate(use(model="x", input_tokens=1, unit="byte", quantity=Decimal("0.000001")), book())
    assert rating.micros == 10_001
    assert rating.unpriced


def test_nothing_used_costs_nothing_and_is_no_warning() -> None:
    assert rate(use(model="gpt-99", unit="image", quantity=0), SEED_PRICES)[:2] == (0, ())
    assert not rate(use(model="gpt-99"), SEED_PRICES).unpriced


def test_failed_and_cancelled_usage_is_charged_as_told() -> None:
    told = [
        rate(use(model="gpt-4o", input_tokens=7, status=s), SEED_PRICES) for s in ("succeeded", "failed", "cancelled")
    ]
    assert told[0] == told[1] == told[2]


def test_the_most_specific_price_wins_whatever_the_order_of_the_book() -> None:
    ladder = [
        Price("tokens", 1, default=True),
        Price("tokens", 2),
        Price("input_tokens", 3),
        Price("tokens", 4, provider="openai"),
        Price("tokens", 5, service="chat"),
        Price("tokens", 6, model="gpt-*"),
        Price("tokens", 7, model="gpt-4*"),
        Price("tokens", 8, model="gpt-4o"),
        Price("tokens", 9, organization="org_1"),
        Price("tokens", 10, organization="org_1", model="gpt-4*"),
    ]
    usage = use(provider="openai", model="gpt-4o", input_tokens=1)
    for count in range(1, len(ladder) + 1):
        for prices in (ladder[:count], ladder[:count][::-1]):
            assert rate(usage, book(*prices), "org_1").micros == count
    assert rate(usage, book(*ladder), "org_2").micros == 8


@pytest.mark.parametrize("item", TOKEN_CLASSES)
def test_a_token_class_without_a_price_takes_that_of_what_it_falls_back_to(item: str) -> None:
    prices = [Price(name, 100 - place) for place, name in enumerate(FALLBACKS[item])]
    usage = use(**{item: 1})
    for start in range(len(prices)):
        assert rate(usage, book(*prices[start:])).micros == prices[start].price_micros


def test_every_item_that_usage_can_name_has_a_last_resort() -> None:
    assert set(LAST_RESORT) == {*TOKEN_CLASSES, *UNITS}


def test_each_line_is_rounded_half_up_on_its_own() -> None:
    rating = rate(use(input_tokens=1, output_tokens=3), book(Price("tokens", 1, 2)))
    assert [line.micros for line in rating.lines] == [1, 2]
    assert rating.micros == 3


def test_a_book_remembers_a_bounded_number_of_models() -> None:
    one = book(Price("tokens", 1))
    for number in range(10_050):
        one.prices_of(None, "chat", None, f"model-{number}")
    assert len(one._remembered) <= 10_000


def test_the_version_in_force_at_the_instant_holds() -> None:
    first, second = book(version=1), book(version=2, effective_from=datetime(2021, 1, 1, tzinfo=UTC))
    corrected = book(version=3, effective_from=datetime(2021, 1, 1, tzinfo=UTC))
    for books in permutations([first, second, corrected]):
        assert book_at(books, datetime(2020, 6, 1, tzinfo=UTC)) is first
        assert book_at(books, datetime(2021, 1, 1, tzinfo=UTC)) is corrected
        assert book_at(books, datetime(2015, 1, 1, tzinfo=UTC)) is first


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [(None, None, True), (None, "x", True), ("x", None, False), ("gpt-4*", "GPT-4o", True), ("gpt-4", "gpt-4o", False),
     ("*", "x", True), ("a*b", "a*b", True), ("a*b", "axb", False)],
)  # fmt: skip
def test_only_a_star_at_the_end_stands_for_anything(pattern: str | None, name: str | None, fits: bool) -> None:
    assert (match(pattern, name) is not None) == fits


names = st.sampled_from([None, "gpt-4o", "gpt-4*", "gpt*", "claude-3"])
prices = st.builds(
    Price,
    item=st.sampled_from(["tokens", "input_tokens", "output_tokens", "call"]),
    price_micros=st.integers(0, 10**9),
    per=st.integers(1, 10**6),
    model=names,
    service=st.sampled_from([None, "chat"]),
    organization=st.sampled_from([None, "org_1"]),
    default=st.booleans(),
)
usages = st.builds(
    UsageRecordedV1,
    service=st.sampled_from(["chat", "other"]),
    model=st.sampled_from([None, "gpt-4o", "gpt-99"]),
    quantity=st.decimals(0, 10**12, places=6),
    unit=st.just("call"),
    **{item: st.integers(0, 10**12) for item in TOKEN_CLASSES},
)


@given(usages, st.lists(prices, max_size=6), st.sampled_from([None, "org_1"]))
def test_the_total_is_the_sum_of_exact_lines_half_up(
    usage: UsageRecordedV1, entries: list[Price], organization: str | None
) -> None:
    rating = rate(usage, book(*entries), organization)
    assert rating.micros == sum(line.micros for line in rating.lines) >= 0
    for line in rating.lines:
        exact = Fraction(line.quantity) * line.price_micros / line.per
        assert abs(line.micros - exact) <= Fraction(1, 2) or (line.micros == 1 and rating.unpriced)
        BookedLine(**line._asdict())
    assert [line.item for line in rating.lines if line.item != "call"] == [
        item for item in TOKEN_CLASSES if getattr(usage, item)
    ]


@given(usages, st.lists(prices, max_size=6))
def test_unpriced_usage_is_never_free(usage: UsageRecordedV1, entries: list[Price]) -> None:
    rating = rate(usage, book(*(entry for entry in entries if not entry.default)))
    if rating.unpriced:
        assert rating.micros > 0


@given(usages, st.lists(prices, max_size=6), st.randoms())
def test_the_order_of_the_book_does_not_matter(usage: UsageRecordedV1, entries: list[Price], random: Any) -> None:
    shuffled = random.sample(entries, len(entries))
    assert rate(usage, book(*entries)).micros == rate(usage, book(*shuffled)).micros


def test_of_two_equal_prices_the_dearer_for_one_unit_holds_whatever_the_order() -> None:
    cheap, dear = Price("input_tokens", 1, 2), Price("input_tokens", 1, 1)
    usage = UsageRecordedV1(service="chat", input_tokens=2)
    assert rate(usage, book(cheap, dear)).micros == rate(usage, book(dear, cheap)).micros == 2
