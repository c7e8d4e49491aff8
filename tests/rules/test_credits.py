"""The ledger's laws, for any facts in any order."""

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import Conflict, InvalidRecord, NotFound
from contracts.rules.credits import (
    LIMIT_MICROS,
    Account,
    Activation,
    Addition,
    Booked,
    Charge,
    Deduction,
    Expiry,
    Fact,
    Kind,
    State,
    book,
)
from contracts.rules.crossings import Crossing, Level
from contracts.rules.grants import EVERYTHING, Grant, Purpose, Scope, burn_order, is_usable, may_pay

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CHAT = Purpose("chat", "gpt-4o", None)


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def lot(number: int, remaining: int, **values: Any) -> Grant:
    return Grant(**{
        "id": UUID(int=number), "priority": 100, "effective_at": at(-60), "expires_at": None, "granted_at": at(-60),
        "remaining_micros": remaining, **values,
    })  # fmt: skip


def charge(number: int, amount: int, minutes: int = 0, purpose: Purpose = CHAT) -> Charge:
    return Charge(UUID(int=number), "urn:test", f"use-{number}", at(minutes), amount, purpose)


def addition(number: int, amount: int, minutes: int = 0, **values: Any) -> Addition:
    return Addition(**{
        "id": UUID(int=number), "source": "urn:test", "event_id": f"add-{number}", "accepted_at": at(minutes),
        "amount_micros": amount, "kind": Kind.GRANT, "account": Account.PROMO, "priority": 100,
        "effective_at": at(minutes), "expires_at": None, "scope": EVERYTHING, **values,
    })  # fmt: skip


def state_with(*grants: Grant, debt: int = 0, **values: Any) -> State:
    balances: dict[str, int] = {Account.WALLET: sum(grant.remaining_micros for grant in grants), Account.DEBT: -debt}
    return State(grants, balances, **values)


def left(booked: Booked) -> dict[int, int]:
    return {grant.id.int: grant.remaining_micros for grant in booked.state.grants}


def test_lots_burn_by_priority_then_soonest_expiry_then_age() -> None:
    grants = [
        lot(1, 10, priority=200),
        lot(2, 10, expires_at=at(900)),
        lot(3, 10, expires_at=at(600)),
        lot(4, 10, granted_at=at(-90)),
        lot(5, 10),
        lot(6, 10, priority=50),
    ]
    assert [grant.id.int for grant in sorted(grants, key=burn_order)] == [6, 3, 2, 4, 5, 1]
    booked = book(state_with(*grants), [charge(20, 35)])
    assert left(booked) == {6: 0, 3: 0, 2: 0, 4: 5, 5: 10, 1: 10}


def test_a_lot_pays_from_its_beginning_until_just_before_its_end() -> None:
    grant = lot(1, 100, effective_at=at(0), expires_at=at(10), settled=False)
    assert [is_usable(grant, at(minutes)) for minutes in (-1, 0, 9, 10)] == [False, True, True, False]
    booked = book(state_with(grant), [charge(2, 1, -1), charge(3, 10, 0), charge(4, 100, 9), charge(5, 1000, 10)])
    assert [booking.debt_micros for booking in booked.bookings] == [1, 0, 10, 1000]


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        (EVERYTHING, True),
        (Scope(services=("chat",)), True),
        (Scope(services=("images",)), False),
        (Scope(models=("gpt-4*",)), True),
        (Scope(models=("claude-3*",)), False),
        (Scope(teams=("research",)), False),
        (Scope(services=("chat",), models=("gpt-4o",)), True),
        (Scope(services=("images", "chat"), models=("gpt-3.5*",)), False),
    ],
)
def test_a_scope_covers_what_it_names(scope: Scope, covered: bool) -> None:
    assert may_pay(scope, CHAT) == covered
    booked = book(state_with(lot(1, 10, scope=scope)), [charge(2, 4)])
    assert left(booked) == {1: 6 if covered else 10}
    assert booked.bookings[0].debt_micros == (0 if covered else 4)


def test_usage_beyond_the_balance_is_owed_and_the_next_grant_repays_first() -> None:
    booked = book(state_with(lot(1, 10)), [charge(2, 25)])
    assert booked.bookings[0].debt_after_micros == 15
    again = book(booked.state, [addition(3, 100)])
    repaid = again.bookings[0]
    assert (repaid.debt_micros, repaid.debt_after_micros, repaid.available_after_micros) == (15, 0, 85)
    assert left(again)[3] == 85


def test_a_grant_smaller_than_the_debt_is_spent_at_once() -> None:
    booked = book(state_with(debt=50), [addition(1, 20)])
    assert booked.state.balances[Account.DEBT] == -30
    assert booked.bookings[0].available_after_micros == 0


def test_a_grant_for_later_repays_when_it_begins() -> None:
    booked = book(state_with(debt=50), [addition(1, 80, effective_at=at(60))])
    assert booked.bookings[0].debt_micros == 0
    begun = book(booked.state, [Activation(UUID(int=2), at(60), at(61), UUID(int=1))])
    assert begun.bookings[0].debt_micros == 50
    assert begun.bookings[0].available_after_micros == 30
    assert begun.state.grants[0].settled


def test_what_is_left_at_the_end_expires_once() -> None:
    grant = lot(1, 30, expires_at=at(10))
    booked = book(state_with(grant), [Expiry(UUID(int=n), at(10), at(99), grant.id) for n in (2, 3)])
    assert [booking.amount_micros for booking in booked.bookings] == [30]
    assert booked.state.balances[Account.EXPIRED] == 30


def test_a_refund_names_the_charge_that_it_reverses_and_only_once() -> None:
    facts: list[Fact] = [
        charge(1, 40),
        addition(2, 30, 1, refunds=("urn:test", "use-1")),
        addition(3, 1, 2, refunds=("urn:test", "use-1")),
    ]
    booked = book(state_with(lot(9, 100)), facts)
    assert [booking.reverses for booking in booked.bookings] == [None, UUID(int=1)]
    assert isinstance(booked.refusals[0].error, Conflict)


def test_a_refund_of_more_than_the_charge_or_of_nothing_is_refused() -> None:
    facts: list[Fact] = [
        charge(1, 40),
        addition(2, 41, 1, refunds=("urn:test", "use-1")),
        addition(3, 1, 2, refunds=("urn:test", "x")),
    ]
    booked = book(State(), facts)
    assert [type(refusal.error) for refusal in booked.refusals] == [Conflict, NotFound]
    assert len(booked.bookings) == 1


def test_no_account_leaves_64_bits_whatever_is_sent() -> None:
    facts = [charge(number, LIMIT_MICROS // 2 + 1) for number in range(1, 4)]
    booked = book(State(), facts)
    assert len(booked.bookings) == 1
    assert [type(refusal.error) for refusal in booked.refusals] == [InvalidRecord, InvalidRecord]


def test_the_balance_is_told_once_per_crossing() -> None:
    spent = [charge(number, 1_000_000, number) for number in range(1, 13)]
    booked = book(state_with(lot(99, 11_500_000)), spent)
    told = [booking.crossings for booking in booked.bookings if booking.crossings]
    assert told == [(Crossing.LOW,), (Crossing.DEPLETED,)]
    assert booked.state.level is Level.DEPLETED
    back = book(booked.state, [addition(50, 20_000_000, 60), addition(51, 1, 61)])
    assert [booking.crossings for booking in back.bookings] == [(Crossing.RECOVERED,), ()]


# Any facts: small numbers, so that ends meet (a lot spent exactly, two facts at one instant, debt repaid exactly).
amounts = st.integers(0, 12)
minutes = st.integers(-3, 3)
scopes = st.sampled_from([EVERYTHING, Scope(services=("chat",)), Scope(models=("x*",))])
purposes = st.sampled_from([CHAT, Purpose("images", "x1", "team")])


@st.composite
def grants(draw: st.DrawFn, first: int = 1_000) -> list[Grant]:
    count = draw(st.integers(0, 4))
    return [
        lot(
            first + number,
            draw(st.integers(1, 12)),
            priority=draw(st.integers(0, 1)),
            effective_at=at(draw(minutes)),
            expires_at=draw(st.none() | st.builds(at, st.integers(-2, 6))),
            scope=draw(scopes),
        )
        for number in range(count)
    ]


@st.composite
def facts(draw: st.DrawFn, known: Iterable[Grant] = ()) -> list[Fact]:
    found: list[Fact] = []
    for number in range(1, draw(st.integers(0, 10)) + 1):
        kind = draw(st.sampled_from(["charge", "add", "later", "deduct", "refund"]))
        minute = draw(minutes)
        if kind == "charge":
            found.append(charge(number, draw(amounts), minute, draw(purposes)))
        elif kind == "deduct":
            found.append(Deduction(UUID(int=number), "urn:test", f"take-{number}", at(minute), draw(amounts) + 1))
        else:
            refunds = ("urn:test", f"use-{draw(st.integers(1, 10))}") if kind == "refund" else None
            begin = at(minute + (5 if kind == "later" else 0))
            found.append(
                addition(number, draw(amounts) + 1, minute, effective_at=begin, scope=draw(scopes), refunds=refunds)
            )
    for number, grant in enumerate(known, start=100):
        if draw(st.booleans()) and grant.expires_at is not None:
            found.append(Expiry(UUID(int=number), grant.expires_at, at(9), grant.id))
    return found


states = grants().flatmap(
    lambda lots: st.builds(
        lambda debt, level: state_with(*lots, debt=debt, level=level, threshold_micros=5),
        st.integers(0, 10),
        st.sampled_from(Level),
    )
)
cases = states.flatmap(lambda state: st.tuples(st.just(state), facts(state.grants)))


@given(cases)
def test_postings_of_every_transaction_sum_to_zero_and_are_at_least_two(case: tuple[State, list[Fact]]) -> None:
    for booking in book(*case).bookings:
        assert sum(posting.amount_micros for posting in booking.postings) == 0
        assert len(booking.postings) >= 2


@given(cases)
def test_cached_is_computed(case: tuple[State, list[Fact]]) -> None:
    state, told = case
    booked = book(state, told)
    balances: dict[str, int] = dict.fromkeys(Account, 0) | dict(state.balances)
    remaining: dict[UUID, int] = {}
    for grant in state.grants:
        remaining[grant.id] = grant.remaining_micros
    for booking in booked.bookings:
        for account, grant_id, amount in booking.postings:
            balances[account] += amount
            if grant_id is not None:
                remaining[grant_id] = remaining.get(grant_id, 0) + amount
        assert booking.debt_after_micros == -balances[Account.DEBT] >= 0
    assert balances == booked.state.balances
    after = {grant.id: grant.remaining_micros for grant in booked.state.grants}
    assert {grant: remaining.get(grant, 0) for grant in after} == after
    assert all(amount >= 0 for amount in after.values())
    assert sum(after.values()) == balances[Account.WALLET]


@given(cases)
def test_what_is_available_is_the_sum_of_usable_lots(case: tuple[State, list[Fact]]) -> None:
    state, told = case
    remaining = {grant.id: grant for grant in state.grants}
    for booking in book(state, told).bookings:
        if booking.grant is not None:
            remaining[booking.grant.id] = booking.grant
        for posting in booking.postings:
            if posting.grant_id is not None:
                grant = remaining[posting.grant_id]
                remaining[grant.id] = grant._replace(remaining_micros=grant.remaining_micros + posting.amount_micros)
        fact = booking.fact
        instant = fact.seen_at if isinstance(fact, Expiry | Activation) else fact.accepted_at
        usable = [grant.remaining_micros for grant in remaining.values() if is_usable(grant, instant)]
        assert booking.available_after_micros == sum(usable)


@given(cases, st.randoms())
def test_a_permutation_of_a_batch_gives_the_same_bookings_and_end_state(
    case: tuple[State, list[Fact]], random: Any
) -> None:
    state, told = case
    one, other = book(state, told), book(state, random.sample(told, len(told)))
    assert other.bookings == one.bookings
    assert other.state == one.state
    assert [(fact, error.code) for fact, error in other.refusals] == [(fact, e.code) for fact, e in one.refusals]


@given(cases)
def test_every_charge_is_booked_in_full(case: tuple[State, list[Fact]]) -> None:
    state, told = case
    charges = {fact.id: fact.amount_micros for fact in told if isinstance(fact, Charge)}
    booked = {b.fact.id: b.amount_micros for b in book(state, told).bookings if b.kind is Kind.CHARGE}
    assert booked == charges


@given(cases)
def test_no_charge_is_reversed_twice(case: tuple[State, list[Fact]]) -> None:
    reversed_ids = [booking.reverses for booking in book(*case).bookings if booking.reverses is not None]
    assert len(reversed_ids) == len(set(reversed_ids))


@given(cases)
def test_a_charge_only_takes_from_lots_that_may_pay_it_then_or_repay_it_since(case: tuple[State, list[Fact]]) -> None:
    booked = book(*case)
    lots = {grant.id: grant for grant in booked.state.grants}
    for booking in booked.bookings:
        if isinstance(booking.fact, Charge):
            for posting in booking.postings:
                if posting.grant_id is not None:
                    grant, instant = lots[posting.grant_id], booking.fact.accepted_at
                    may_pay_now = is_usable(grant, instant) and may_pay(grant.scope, booking.fact.purpose)
                    repays = grant.settled and max(grant.granted_at, grant.effective_at) > instant
                    assert may_pay_now or repays


@given(cases)
def test_the_same_crossing_is_not_told_twice_in_a_row(case: tuple[State, list[Fact]]) -> None:
    told = [crossing for booking in book(*case).bookings for crossing in booking.crossings]
    assert all(one != other for one, other in itertools.pairwise(told) if one is not Crossing.DEPLETED)


@given(cases)
def test_booking_does_not_change_the_state_that_it_was_given(case: tuple[State, list[Fact]]) -> None:
    state, told = case
    before = (state.grants, dict(state.balances), dict(state.charges))
    book(state, told)
    assert (state.grants, dict(state.balances), dict(state.charges)) == before


def test_usage_that_comes_late_is_paid_by_the_lot_that_would_have_repaid_it() -> None:
    granted = addition(1, 100, 5, scope=Scope(services=("images",)))
    in_order = book(book(State(), [charge(2, 30, 0)]).state, [granted])
    late = book(book(State(), [granted]).state, [charge(2, 30, 0)])
    together = book(State(), [granted, charge(2, 30, 0)])
    for booked in (in_order, late, together):
        assert (left(booked), booked.state.balances[Account.DEBT]) == ({1: 70}, 0)


@given(facts(), st.randoms())
def test_the_order_of_arrival_does_not_decide_between_credits_and_debt(told: list[Fact], random: Any) -> None:
    moving = [
        fact._replace(scope=EVERYTHING, effective_at=fact.accepted_at) if isinstance(fact, Addition) else fact
        for fact in told
        if not (isinstance(fact, Addition) and fact.refunds)
    ]
    ends = set()
    for batches in ([moving], [[fact] for fact in moving], [[f] for f in random.sample(moving, len(moving))]):
        state = State()
        for one in batches:
            state = book(state, one).state
        ends.add((state.balances.get(Account.WALLET, 0), state.balances.get(Account.DEBT, 0)))
    assert len(ends) == 1
    assert 0 in ends.pop()
