"""From records to what the ledger can book: duplicates dropped, conflicts told, usage priced."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final, NamedTuple
from uuid import UUID

from consumers.batch import Record
from contracts.envelope import body_hash
from contracts.errors import AihubError, IdentityConflict
from contracts.events import credits as events
from contracts.events.usage import UsageRecordedV1
from contracts.rules.credits import COUNTER_ACCOUNT, Addition, Charge, Deduction, Fact, Kind
from contracts.rules.grants import EVERYTHING, Purpose, Scope
from contracts.rules.pricing import PriceBook, Rating, book_at, rate
from infra.ids import new_uuid

Identity = tuple[str, str, str]
DEFAULT_PRIORITY: Final = 100
"""Of lots whose event names none: purchases, refunds, adjustments."""
_place: Final = attrgetter("topic.name", "partition", "offset")


class Incoming(NamedTuple):
    """A record with its identity and the hash of its body."""

    record: Record
    identity: Identity
    body_hash: bytes


class Terms(NamedTuple):
    """What a new lot's row says besides what the booking needs."""

    source: str
    cost_basis_nanos: int
    scope: events.GrantScope
    expires_at: datetime | None


class Entry(NamedTuple):
    """A fact to book and where it comes from."""

    incoming: Incoming
    fact: Fact
    rating: Rating | None = None
    terms: Terms | None = None


class Refused(NamedTuple):
    """A record that goes to the dead letters, and why."""

    record: Record
    error: AihubError


def in_log_order(records: Iterable[Record]) -> list[Incoming]:
    """The records that the ledger understands as they stand in Kafka, whatever order they were handed over in."""
    ordered = sorted(
        # The exact types come first: asking a pydantic class about an instance that is not its own is slow.
        [r for r in records if type(r.data) is UsageRecordedV1 or isinstance(r.data, events.CreditsFact)],
        key=_place,
    )
    return [
        Incoming(
            record,
            record.envelope.identity,
            body_hash(record.envelope.type, record.envelope.subject, record.envelope.data),
        )
        for record in ordered
    ]


def sort_out(incoming: Iterable[Incoming], known: Mapping[Identity, bytes]) -> tuple[list[Incoming], list[Refused]]:
    """The records that are new, and those that bring a known identity with another body.

    The first in Kafka order is the one; the same again is neither. `known` are the hashes of what was booked before.
    """
    seen = dict(known)
    fresh: list[Incoming] = []
    refused: list[Refused] = []
    for one in incoming:
        first = seen.setdefault(one.identity, one.body_hash)
        if first is one.body_hash:
            fresh.append(one)
        elif first != one.body_hash:
            message = "This event's source and id came before with another body: send corrections under a new id."
            refused.append(Refused(one.record, IdentityConflict(message)))
    return fresh, refused


def refunded_by(incoming: Iterable[Incoming]) -> list[Identity]:
    """The usage events whose charges these records refund by name."""
    return [
        (one.identity[0], data.refunds_source, data.refunds_id)
        for one in incoming
        if type(data := one.record.data) is events.CreditsRefundedV1
        and data.refunds_source is not None
        and data.refunds_id is not None
    ]


def entry_of(incoming: Incoming, books: Sequence[PriceBook]) -> Entry:
    """The fact that the record tells, its usage priced by the version in force when it was used."""
    envelope, data = incoming.record.envelope, incoming.record.data
    if isinstance(data, UsageRecordedV1):
        rating = rate(data, book_at(books, envelope.time), envelope.organization)
        purpose = Purpose(data.service, data.model, data.team)
        charge = Charge(new_uuid(), envelope.source, envelope.id, envelope.acceptedat, rating.micros, purpose)
        return Entry(incoming, charge, rating)
    if isinstance(data, events.CreditsAdjustedV1) and data.amount_micros < 0:
        return Entry(
            incoming,
            Deduction(new_uuid(), envelope.source, envelope.id, envelope.acceptedat, -data.amount_micros),
        )
    return _addition(incoming, new_uuid())


def _addition(incoming: Incoming, transaction_id: UUID) -> Entry:
    envelope, data = incoming.record.envelope, incoming.record.data
    kind, priority, effective_at, scope = Kind.GRANT, DEFAULT_PRIORITY, envelope.acceptedat, EVERYTHING
    refunds: tuple[str, str] | None = None
    if isinstance(data, events.CreditsGrantedV1):
        priority, effective_at = data.priority, data.effective_at or envelope.acceptedat
        scope = Scope(data.scope.services, data.scope.models, data.scope.teams)
        terms = Terms(data.source, data.cost_basis_nanos, data.scope, data.expires_at)
    elif isinstance(data, events.CreditsPurchasedV1):
        terms = Terms("purchase", data.price_paid_nanos, events.GrantScope(), None)
    elif isinstance(data, events.CreditsRefundedV1):
        kind = Kind.REFUND
        terms = Terms("refund", 0, events.GrantScope(), None)
        if data.refunds_source is not None and data.refunds_id is not None:
            refunds = (data.refunds_source, data.refunds_id)
    elif isinstance(data, events.CreditsAdjustedV1):
        kind = Kind.ADJUSTMENT
        terms = Terms("adjustment", 0, events.GrantScope(), None)
    else:
        raise TypeError(f"the ledger does not book {envelope.type}")
    fact = Addition(
        transaction_id, envelope.source, envelope.id, envelope.acceptedat, data.amount_micros, kind,
        COUNTER_ACCOUNT[terms.source], priority, effective_at, terms.expires_at, scope, refunds,
    )  # fmt: skip
    return Entry(incoming, fact, None, terms)
