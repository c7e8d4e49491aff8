"""What the ledger books: one organization's state and facts give balanced transactions.

Signs: a posting adds its amount to its account, the postings of a transaction sum to zero.
`wallet` holds what may be spent, lot by lot; `debt` is 0 or negative: what is owed; the other accounts are the
other side of credits that came (`issued`, `promo`, `refunded`, `adjusted`: negative) or went (`revenue`,
`expired`: positive).

"Now" is the fact's `accepted_at`, never a clock: a replay books the same.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from contracts.errors import AihubError, Conflict, InvalidRecord, NotFound
from contracts.rules.chain import Posting
from contracts.rules.crossings import cross
from contracts.rules.facts import (
    COUNTER_ACCOUNT,
    Account,
    Activation,
    Addition,
    Booked,
    Booking,
    Charge,
    Charged,
    Deduction,
    Expiry,
    Fact,
    Kind,
    Refusal,
    State,
)
from contracts.rules.grants import ANYTHING, FOREVER, Grant, Purpose, burn, burn_order, burn_since, is_usable

__all__ = [
    "COUNTER_ACCOUNT",
    "LIMIT_MICROS",
    "Account",
    "Activation",
    "Addition",
    "Booked",
    "Booking",
    "Charge",
    "Charged",
    "Deduction",
    "Expiry",
    "Fact",
    "Kind",
    "Refusal",
    "State",
    "book",
    "canonical_order",
]

LIMIT_MICROS: Final = 4 * 10**18
"""No account goes beyond it, either way: sums stay within 64 bits. What would is refused."""


def canonical_order(facts: Iterable[Fact]) -> list[Fact]:
    """The facts as they are booked, whatever order they came in: lots that begin or end, additions, charges,
    then deductions and refunds; within each by acceptance, source and id.
    """
    return sorted(facts, key=_place)


def _place(fact: Fact) -> tuple[int, datetime, str, str]:
    if isinstance(fact, Charge):
        return (2, fact.accepted_at, fact.source, fact.event_id)
    if isinstance(fact, Addition):
        return (1 if fact.refunds is None else 3, fact.accepted_at, fact.source, fact.event_id)
    if isinstance(fact, Deduction):
        return (3, fact.accepted_at, fact.source, fact.event_id)
    return (0, fact.accepted_at, "", fact.grant_id.hex)


def book(state: State, facts: Iterable[Fact]) -> Booked:
    """The transactions for these facts; a permutation of the facts gives the same ones and the same end state."""
    books = _Books(state)
    for fact in canonical_order(facts):
        books.book(fact)
    return Booked(books.bookings, books.refusals, books.state())


class _Books:
    """The state while a batch is booked."""

    def __init__(self, state: State) -> None:
        self.before = state
        self.grants = sorted(state.grants, key=burn_order)
        self.left = {grant.id: grant.remaining_micros for grant in state.grants}
        self.balances: dict[str, int] = dict.fromkeys(Account, 0) | dict(state.balances)
        self.level = state.level
        self.charges = dict(state.charges)
        self.bookings: list[Booking] = []
        self.refusals: list[Refusal] = []
        self.spent: list[Grant] = []
        self._available = 0
        self._usable: set[UUID] = set()
        self._window: tuple[datetime, datetime] | None = None

    def state(self) -> State:
        grants = tuple(
            grant._replace(remaining_micros=self.left[grant.id])
            for grant in sorted(self.grants + self.spent, key=burn_order)
        )
        return State(grants, self.balances, self.before.threshold_micros, self.level, self.charges)

    def book(self, fact: Fact) -> None:
        if isinstance(fact, Charge):
            self._charge(fact)
        elif isinstance(fact, Addition):
            self._add(fact)
        elif isinstance(fact, Deduction):
            self._deduct(fact)
        elif fact.grant_id in self.left:
            self._expire(fact) if isinstance(fact, Expiry) else self._activate(fact)

    def _charge(self, fact: Charge) -> None:
        postings, owed = self._spend(fact.amount_micros, fact.accepted_at, fact.purpose, Account.REVENUE)
        self._write(fact, Kind.CHARGE, fact.amount_micros, postings, owed, fact.accepted_at)

    def _deduct(self, fact: Deduction) -> None:
        postings, owed = self._spend(fact.amount_micros, fact.accepted_at, ANYTHING, Account.ADJUSTED)
        self._write(fact, Kind.ADJUSTMENT, -fact.amount_micros, postings, owed, fact.accepted_at)

    def _spend(self, amount: int, at: datetime, purpose: Purpose, to: Account) -> tuple[list[Posting], int]:
        """The postings that take the amount from the lots, then from debt, and how much became owed.

        Usage that is booked late may find lots that had their turn at repaying debt after it was accepted: they pay
        what would have been owed then, so that the order of arrival does not decide between credits and debt.
        """
        parts = burn(self.grants, self.left, amount, at, purpose)
        owed = amount - sum([part for _, part in parts])
        if owed:
            parts += burn_since(self.grants, self.left, owed, at, {grant for grant, _ in parts})
            owed = amount - sum([part for _, part in parts])
        postings = [Posting(Account.WALLET, grant, -part) for grant, part in parts]
        if owed:
            postings.append(Posting(Account.DEBT, None, -owed))
        if not postings:
            postings.append(Posting(Account.WALLET, None, 0))
        postings.append(Posting(to, None, amount))
        return postings, owed

    def _add(self, fact: Addition) -> None:
        reverses = None
        if fact.refunds is not None:
            charged = self._charged(fact.refunds)
            if (error := _refund_error(fact, charged)) is not None or charged is None:
                self.refusals.append(Refusal(fact, error or _NOT_CHARGED))
                return
            reverses = charged.transaction_id
        grant = Grant(
            fact.id, fact.priority, fact.effective_at, fact.expires_at, fact.accepted_at, 0, fact.scope,
            fact.effective_at <= fact.accepted_at,
        )  # fmt: skip
        repaid = min(self._owed(), fact.amount_micros) if is_usable(grant, fact.accepted_at) else 0
        postings = [Posting(fact.account, None, -fact.amount_micros)]
        if repaid:
            postings.append(Posting(Account.DEBT, None, repaid))
        if fact.amount_micros > repaid:
            postings.append(Posting(Account.WALLET, grant.id, fact.amount_micros - repaid))
        self._write(fact, fact.kind, fact.amount_micros, postings, repaid, fact.accepted_at, reverses, grant)

    def _expire(self, fact: Expiry) -> None:
        rest = self.left[fact.grant_id]
        if rest:
            postings = [Posting(Account.WALLET, fact.grant_id, -rest), Posting(Account.EXPIRED, None, rest)]
            self._write(fact, Kind.EXPIRY, rest, postings, 0, fact.seen_at)

    def _activate(self, fact: Activation) -> None:
        repaid = min(self._owed(), self.left[fact.grant_id])
        postings = [Posting(Account.WALLET, fact.grant_id, -repaid), Posting(Account.DEBT, None, repaid)]
        self.grants = [g._replace(settled=True) if g.id == fact.grant_id else g for g in self.grants]
        self._write(fact, Kind.ACTIVATION, repaid, postings, repaid, fact.seen_at)

    def _owed(self) -> int:
        return -self.balances[Account.DEBT]

    def _charged(self, refunds: tuple[str, str]) -> Charged | None:
        known = self.charges.get(refunds)
        if known is None:
            for booking in self.bookings:
                fact = booking.fact
                if isinstance(fact, Charge) and (fact.source, fact.event_id) == refunds:
                    return Charged(fact.id, fact.amount_micros, False)
        return known

    def _write(
        self,
        fact: Fact,
        kind: Kind,
        amount: int,
        postings: Sequence[Posting],
        debt: int,
        at: datetime,
        reverses: UUID | None = None,
        grant: Grant | None = None,
    ) -> None:
        """Applies the postings and keeps the booking, or refuses it when an account would leave its bounds."""
        for account, _, moved in postings:
            if not -LIMIT_MICROS <= self.balances[account] + moved <= LIMIT_MICROS:
                self.refusals.append(Refusal(fact, _TOO_MUCH))
                return
        if grant is not None:
            self._open(grant)
        if reverses is not None and isinstance(fact, Addition) and fact.refunds is not None:
            self.charges[fact.refunds] = Charged(reverses, fact.amount_micros, True)
        self._apply(postings)
        available = self._available_at(at)
        crossed = cross(
            self.level, available, self.before.threshold_micros,
            falls=kind in (Kind.CHARGE, Kind.EXPIRY) or amount < 0,
        )  # fmt: skip
        self.level = crossed.level
        self.bookings.append(
            Booking(fact, kind, amount, tuple(postings), debt, available, self._owed(), crossed.told, reverses, grant)
        )

    def _open(self, grant: Grant) -> None:
        self.grants = sorted([*self.grants, grant], key=burn_order)
        self.left[grant.id] = 0
        self._window = None

    def _apply(self, postings: Sequence[Posting]) -> None:
        for account, grant_id, amount in postings:
            self.balances[account] += amount
            if grant_id is not None:
                self.left[grant_id] += amount
                if grant_id in self._usable:
                    self._available += amount
                if self.left[grant_id] == 0:
                    self._put_away(grant_id)

    def _put_away(self, grant_id: UUID) -> None:
        """Takes a spent lot out of the burn order, so that a thousand of them cost nothing."""
        self.spent += [grant for grant in self.grants if grant.id == grant_id]
        self.grants = [grant for grant in self.grants if grant.id != grant_id]

    def _available_at(self, at: datetime) -> int:
        """What all lots that are usable at the instant have left together.

        Summed anew only when a lot came, or when one begins or ends between the last instant and this one.
        """
        if self._window is None or not self._window[0] <= at < self._window[1]:
            marks = [mark for grant in self.grants for mark in (grant.effective_at, grant.expires_at or FOREVER)]
            begun = [mark for mark in marks if mark <= at]
            self._window = (max(begun, default=_BEGINNING), min([m for m in marks if m > at], default=FOREVER))
            self._usable = {grant.id for grant in self.grants if is_usable(grant, at)}
            self._available = sum([self.left[grant_id] for grant_id in self._usable])
        return self._available


_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_NOT_CHARGED: Final = NotFound("The ledger has no charge for the usage event that this refund names.")
_TOO_MUCH: Final = InvalidRecord(
    "The amount is beyond what the ledger can hold; correct the quantity and send it anew."
)


def _refund_error(fact: Addition, charged: Charged | None) -> AihubError | None:
    if charged is None:
        return _NOT_CHARGED
    if charged.is_reversed:
        return Conflict("The charge that this refund names was refunded already.")
    if fact.amount_micros > charged.amount_micros:
        return Conflict(f"The refund is more than the charge that it names ({charged.amount_micros} micro-credits).")
    return None
