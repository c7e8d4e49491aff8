"""From bookings to rows: one page collects what one database transaction writes, then writes it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from consumers.credits.facts import Entry
from consumers.credits.statements import Teller, detail_of
from contracts import topics
from contracts.events.credits import GrantScope
from contracts.rules.chain import ChainRow, first_hash, next_hash
from contracts.rules.credits import Activation, Booked, Booking, State
from infra.postgres import ledger_write
from infra.postgres.database import Tx
from infra.postgres.ledger import Head
from infra.postgres.ledger_write import NewHead
from producers import outbox


class Page:
    """The rows of one transaction, by table."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.transactions: list[tuple[Any, ...]] = []
        self.postings: list[tuple[Any, ...]] = []
        self.grants: list[tuple[Any, ...]] = []
        self.remaining: dict[UUID, int] = {}
        self.settled: list[UUID] = []
        self.balances: dict[tuple[str, str], int] = {}
        self.heads: list[NewHead] = []
        self.events: dict[str, list[bytes]] = {}

    def add(self, organization: str, head: Head, before: State, booked: Booked, entries: Mapping[UUID, Entry]) -> None:
        """Takes in what was booked for one organization, chained to its head."""
        if not booked.bookings:
            return
        now = max(self.now, head.booked_at) if head.booked_at else self.now
        seq, before_hash = head.seq, head.hash or first_hash(organization)
        teller = Teller(organization, now, head.low_threshold_micros)
        told: list[bytes] = []
        for booking in booked.bookings:
            seq += 1
            entry = entries.get(booking.fact.id)
            detail = detail_of(booking, entry)
            row = _chain_row(booking, entry, detail, seq, now)
            before_hash = next_hash(before_hash, row)
            self._add_rows(organization, row, before_hash)
            told.extend(teller.tell(booking, entry, detail))
        self._add_lots(organization, now, before, booked, entries)
        for account, balance in booked.state.balances.items():
            if balance != before.balances.get(account, 0):
                self.balances[organization, account] = balance
        self.heads.append(NewHead(organization, seq, before_hash, now, booked.state.level))
        self.events[organization] = told

    def _add_rows(self, organization: str, row: ChainRow, row_hash: bytes) -> None:
        self.transactions.append((row.id, organization, *row[1:14], row_hash))
        self.postings.extend(
            [
                (row.id, line, organization, account, grant_id, amount)
                for line, (account, grant_id, amount) in enumerate(row.postings, start=1)
            ]
        )

    def _add_lots(
        self, organization: str, now: datetime, before: State, booked: Booked, entries: Mapping[UUID, Entry]
    ) -> None:
        known = {grant.id: grant.remaining_micros for grant in before.grants}
        left = {grant.id: grant.remaining_micros for grant in booked.state.grants}
        self.remaining |= {grant_id: left[grant_id] for grant_id in known if left[grant_id] != known[grant_id]}
        for booking in booked.bookings:
            if isinstance(booking.fact, Activation):
                self.settled.append(booking.fact.grant_id)
            if booking.grant is not None:
                entry = entries[booking.fact.id]
                self.grants.append(_grant_row(organization, now, booking, entry, left[booking.grant.id]))

    async def write(self, tx: Tx) -> None:
        """Writes it all, balances and heads last; whoever opened the transaction commits."""
        await ledger_write.add_transactions(tx, self.transactions)
        await ledger_write.add_postings(tx, self.postings)
        await ledger_write.add_grants(tx, self.grants)
        await ledger_write.set_remaining(tx, self.remaining)
        if self.settled:
            await ledger_write.set_settled(tx, self.settled)
        await outbox.save_many(tx, topics.LEDGER, self.events.items())
        await ledger_write.set_balances(tx, self.balances)
        await ledger_write.move_heads(tx, self.heads)


def _chain_row(booking: Booking, entry: Entry | None, detail: str, seq: int, now: datetime) -> ChainRow:
    fact = booking.fact
    envelope = entry.incoming.record.envelope if entry else None
    return ChainRow(
        fact.id,
        seq,
        booking.kind,
        booking.amount_micros,
        envelope.source if envelope else None,
        envelope.id if envelope else None,
        envelope.time if envelope else fact.accepted_at,
        fact.accepted_at,
        now,
        entry.rating.price_version if entry and entry.rating else None,
        detail,
        booking.available_after_micros,
        booking.debt_after_micros,
        booking.reverses,
        booking.postings,
    )


def _grant_row(organization: str, now: datetime, booking: Booking, entry: Entry, left: int) -> tuple[Any, ...]:
    grant, terms, envelope = booking.grant, entry.terms, entry.incoming.record.envelope
    if grant is None or terms is None:
        raise ValueError("only an addition makes a lot")
    scope = terms.scope if isinstance(terms.scope, GrantScope) else GrantScope()
    return (
        grant.id, organization, terms.source, grant.priority, grant.effective_at, grant.expires_at,
        scope.model_dump_json(), terms.cost_basis_nanos, booking.amount_micros, left, envelope.source, envelope.id,
        detail_reason(entry), grant.granted_at, now, left > 0, grant.settled,
    )  # fmt: skip


def detail_reason(entry: Entry) -> str | None:
    """Why a lot was given, in the words of who gave it."""
    reason: str | None = getattr(entry.incoming.record.data, "reason", None)
    return reason
