"""What the ledger is told and what it writes: accounts, facts, an organization's state, bookings."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

from contracts.errors import AihubError
from contracts.rules.chain import Posting
from contracts.rules.crossings import Crossing, Level
from contracts.rules.grants import Grant, Purpose, Scope


class Account(StrEnum):
    """The accounts of an organization."""

    WALLET = "wallet"
    HELD = "held"
    DEBT = "debt"
    ISSUED = "issued"
    REVENUE = "revenue"
    PROMO = "promo"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    ADJUSTED = "adjusted"


class Kind(StrEnum):
    """What a transaction is."""

    CHARGE = "charge"
    GRANT = "grant"
    REFUND = "refund"
    ADJUSTMENT = "adjustment"
    EXPIRY = "expiry"
    ACTIVATION = "activation"


COUNTER_ACCOUNT: Final = {
    "purchase": Account.ISSUED,
    "plan": Account.ISSUED,
    "promo": Account.PROMO,
    "bonus": Account.PROMO,
    "refund": Account.REFUNDED,
    "adjustment": Account.ADJUSTED,
}
"""Where credits of a grant's source come from."""


class Charge(NamedTuple):
    """Usage that was priced; always booked, what the grants cannot pay is owed."""

    id: UUID
    source: str
    event_id: str
    accepted_at: datetime
    amount_micros: int
    purpose: Purpose


class Addition(NamedTuple):
    """Credits that come as a lot of their own; `refunds` names the charge (source, event id) that they reverse."""

    id: UUID
    source: str
    event_id: str
    accepted_at: datetime
    amount_micros: int
    kind: Kind
    account: Account
    priority: int
    effective_at: datetime
    expires_at: datetime | None
    scope: Scope
    refunds: tuple[str, str] | None = None


class Deduction(NamedTuple):
    """Credits that a person takes, from any lot; what is not there is owed."""

    id: UUID
    source: str
    event_id: str
    accepted_at: datetime
    amount_micros: int


class Expiry(NamedTuple):
    """The end of a lot: `accepted_at` is when it ended, `seen_at` when the sweeper looked."""

    id: UUID
    accepted_at: datetime
    seen_at: datetime
    grant_id: UUID


class Activation(NamedTuple):
    """The beginning of a lot that was granted for later: repays what is owed then."""

    id: UUID
    accepted_at: datetime
    seen_at: datetime
    grant_id: UUID


Fact: TypeAlias = Charge | Addition | Deduction | Expiry | Activation


class Charged(NamedTuple):
    """A charge that a refund names: its transaction, its amount, whether it was reversed already."""

    transaction_id: UUID
    amount_micros: int
    is_reversed: bool


class State(NamedTuple):
    """An organization before a batch: open grants, balances by account, threshold, level, charges to be refunded."""

    grants: tuple[Grant, ...] = ()
    balances: Mapping[str, int] = {}
    threshold_micros: int = 10_000_000
    level: Level = Level.OK
    charges: Mapping[tuple[str, str], Charged] = {}


class Booking(NamedTuple):
    """One transaction to write. `debt_micros` is what became owed (charge) or was repaid (addition, activation)."""

    fact: Fact
    kind: Kind
    amount_micros: int
    postings: tuple[Posting, ...]
    debt_micros: int
    available_after_micros: int
    debt_after_micros: int
    crossings: tuple[Crossing, ...]
    reverses: UUID | None = None
    grant: Grant | None = None


class Refusal(NamedTuple):
    """A fact that cannot be booked, and why."""

    fact: Fact
    error: AihubError


class Booked(NamedTuple):
    """All that a batch changes: transactions in order, refusals, and the state after it."""

    bookings: list[Booking]
    refusals: list[Refusal]
    state: State
