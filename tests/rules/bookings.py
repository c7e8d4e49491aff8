"""Lots, facts and states to book, made by hand or drawn."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from contracts.rules.credits import (
    Account,
    Addition,
    Booked,
    Charge,
    Deduction,
    Expiry,
    Fact,
    Kind,
    State,
)
from contracts.rules.crossings import Level
from contracts.rules.grants import EVERYTHING, Grant, Purpose, Scope

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
