"""Laws of booking that hold for whatever is drawn."""

import itertools
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from contracts.rules.credits import (
    Account,
    Activation,
    Addition,
    Charge,
    Expiry,
    Fact,
    Kind,
    State,
    book,
)
from contracts.rules.crossings import Crossing
from contracts.rules.grants import EVERYTHING, is_usable, may_pay
from tests.rules.bookings import (
    cases,
    facts,
)


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
