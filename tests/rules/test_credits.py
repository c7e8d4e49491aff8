"""Booking: charges, lots, debts, refunds and levels, by example."""

from uuid import UUID

import pytest

from contracts.errors import Conflict, InvalidRecord, NotFound
from contracts.rules.credits import (
    LIMIT_MICROS,
    Account,
    Activation,
    Expiry,
    Fact,
    State,
    book,
)
from contracts.rules.crossings import Crossing, Level
from contracts.rules.grants import EVERYTHING, Scope, burn_order, is_usable, may_pay
from tests.rules.bookings import CHAT, addition, at, charge, left, lot, state_with


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


def test_usage_that_comes_late_is_paid_by_the_lot_that_would_have_repaid_it() -> None:
    granted = addition(1, 100, 5, scope=Scope(services=("images",)))
    in_order = book(book(State(), [charge(2, 30, 0)]).state, [granted])
    late = book(book(State(), [granted]).state, [charge(2, 30, 0)])
    together = book(State(), [granted, charge(2, 30, 0)])
    for booked in (in_order, late, together):
        assert (left(booked), booked.state.balances[Account.DEBT]) == ({1: 70}, 0)
