"""Grants: which lots of credits may pay for what and when, and in which order they burn."""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from contracts.rules.pricing import match

FOREVER: Final = datetime.max.replace(tzinfo=UTC)


class Purpose(NamedTuple):
    """What is being paid for; all None: anything may pay (an adjustment)."""

    service: str | None = None
    model: str | None = None
    team: str | None = None


ANYTHING: Final = Purpose()


class Scope(NamedTuple):
    """What a grant may pay for; an empty tuple does not restrict. Models may be prefix patterns (`gpt-4*`)."""

    services: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()


EVERYTHING: Final = Scope()


class Grant(NamedTuple):
    """A lot of credits and what is left of it; `settled` once it has had its turn at repaying debt."""

    id: UUID
    priority: int
    effective_at: datetime
    expires_at: datetime | None
    granted_at: datetime
    remaining_micros: int
    scope: Scope = EVERYTHING
    settled: bool = True


def burn_order(grant: Grant) -> tuple[int, datetime, datetime, UUID]:
    """Sorts grants into the order in which they are spent: priority, soonest expiry, oldest, id."""
    return (grant.priority, grant.expires_at or FOREVER, grant.granted_at, grant.id)


def is_usable(grant: Grant, at: datetime) -> bool:
    """Whether the grant may be spent at that instant: effective_at <= at < expires_at."""
    return grant.effective_at <= at and (grant.expires_at is None or at < grant.expires_at)


def may_pay(scope: Scope, purpose: Purpose) -> bool:
    """Whether the scope covers the purpose. What names no model or team is not covered by a scope that does."""
    if scope == EVERYTHING or purpose == ANYTHING:
        return True
    return (
        (not scope.services or purpose.service in scope.services)
        and (not scope.models or any(match(pattern, purpose.model) is not None for pattern in scope.models))
        and (not scope.teams or purpose.team in scope.teams)
    )


def burn(
    ordered: Iterable[Grant], left: Mapping[UUID, int], amount: int, at: datetime, purpose: Purpose
) -> list[tuple[UUID, int]]:
    """How much each grant pays, in burn order; less than `amount` together when they cannot pay it all.

    `left` is what remains of each grant by id; nothing is changed.
    """
    taken: list[tuple[UUID, int]] = []
    for grant in ordered:
        if amount <= 0:
            break
        if is_usable(grant, at) and may_pay(grant.scope, purpose):
            part = min(left[grant.id], amount)
            if part > 0:
                taken.append((grant.id, part))
                amount -= part
    return taken


def burn_since(
    grants: Iterable[Grant], left: Mapping[UUID, int], owed: int, at: datetime, spent: Collection[UUID]
) -> list[tuple[UUID, int]]:
    """How much is repaid by lots that had their turn at repaying debt after `at`, in the order of their turns.

    Like every repayment it does not ask for the scope. `spent` are lots that have already given all they had.
    """
    turns = sorted(
        [
            (turn, grant.id)
            for grant in grants
            if grant.settled and grant.id not in spent and (turn := max(grant.granted_at, grant.effective_at)) > at
        ]
    )
    taken: list[tuple[UUID, int]] = []
    for _, grant_id in turns:
        part = min(left[grant_id], owed)
        if part > 0:
            taken.append((grant_id, part))
            owed -= part
    return taken
