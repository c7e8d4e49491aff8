"""What people ask of the ledger: balance now and then, statement, one event's transaction, how far it has read."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from infra.postgres.database import Tx

_LAST_SEQ: Final = 2**62


class Lot(NamedTuple):
    """A lot with something left; `is_usable` at the instant of the balance."""

    id: UUID
    source: str
    priority: int
    effective_at: datetime
    expires_at: datetime | None
    granted_at: datetime
    amount_micros: int
    remaining_micros: int
    scope: dict[str, Any]
    reason: str | None
    is_usable: bool


class Balance(NamedTuple):
    """What may be spent (`available`: of usable lots), is set aside, is owed; `seq` of the last transaction in it."""

    available_micros: int
    held_micros: int
    debt_micros: int
    lots: tuple[Lot, ...]
    seq: int


class Transaction(NamedTuple):
    """One line of the statement, with the balances after it; `detail` explains it."""

    id: UUID
    organization_id: str
    seq: int
    kind: str
    amount_micros: int
    event_source: str | None
    event_id: str | None
    used_at: datetime
    accepted_at: datetime
    booked_at: datetime
    price_version: int | None
    detail: dict[str, Any]
    available_after_micros: int
    debt_after_micros: int
    reverses: UUID | None
    hash: bytes


class Entry(NamedTuple):
    """What the inbox remembers of an event, and its transaction."""

    source: str
    family: str
    topic: str
    partition: int
    offset: int
    accepted_at: datetime
    transaction: Transaction | None


class Read(NamedTuple):
    """How far a partition was read: everything below `next_offset` is booked, accepted up to `accepted_at`."""

    next_offset: int
    accepted_at: datetime


_COLUMNS: Final = ", ".join(f"t.{name}" for name in Transaction._fields)

_BALANCE: Final = text("""
    WITH later AS (
        SELECT p.account, p.grant_id, sum(p.amount_micros)::bigint AS moved
        FROM ledger_transactions AS t JOIN postings AS p ON p.transaction_id = t.id
        WHERE t.organization_id = :organization AND t.seq > :seq
        GROUP BY p.account, p.grant_id
    ), lots AS (
        SELECT g.*, g.remaining_micros - coalesce(l.moved, 0) AS left_micros
        FROM grants AS g LEFT JOIN later AS l ON l.grant_id = g.id AND l.account = 'wallet'
        WHERE g.id IN (
            SELECT id FROM grants WHERE organization_id = :organization AND is_open
            UNION SELECT grant_id FROM later WHERE grant_id IS NOT NULL
        )
    ), sums AS (
        SELECT kind, balance_micros - coalesce((SELECT sum(moved) FROM later WHERE account = kind), 0)::bigint AS micros
        FROM accounts WHERE organization_id = :organization AND kind IN ('held', 'debt')
    )
    SELECT coalesce((SELECT micros FROM sums WHERE kind = 'held'), 0) AS held,
           -coalesce((SELECT micros FROM sums WHERE kind = 'debt'), 0) AS debt,
           least(:seq, head.seq) AS seq,
           id, source, priority, effective_at, expires_at, granted_at, amount_micros, left_micros, scope, reason,
           effective_at <= :at AND (expires_at IS NULL OR expires_at > :at) AS is_usable
    FROM ledger_heads AS head LEFT JOIN lots ON left_micros > 0
    WHERE head.organization_id = :organization
    ORDER BY priority, expires_at NULLS LAST, granted_at, id
""")

# Numbers have no gaps and instants of booking do not go back, so the last transaction up to an instant is found by
# halving: twenty looks at the index for a million transactions, and no index on the instant.
_SEQ_AT: Final = text("""
    WITH RECURSIVE search (low, high) AS (
        SELECT 0::bigint, seq FROM ledger_heads WHERE organization_id = :organization
        UNION ALL
        SELECT CASE WHEN t.booked_at <= :at THEN t.seq ELSE low END,
               CASE WHEN t.booked_at <= :at THEN high ELSE t.seq - 1 END
        FROM search JOIN ledger_transactions AS t
            ON t.organization_id = :organization AND t.seq = (low + high + 1) / 2
        WHERE low < high
    )
    SELECT low FROM search WHERE low >= high
""")


async def balance(tx: Tx, organization: str, now: datetime) -> Balance:
    """The balance at this instant, lots in the order in which they are spent; one snapshot."""
    return await _balance(tx, organization, _LAST_SEQ, now)


async def balance_at(tx: Tx, organization: str, instant: datetime) -> Balance:
    """The balance as it was shown at a past instant: of the transactions booked by then; never changes afterwards."""
    return await _balance(tx, organization, await seq_at(tx, organization, instant), instant)


async def _balance(tx: Tx, organization: str, seq: int, at: datetime) -> Balance:
    rows = (await tx.execute(_BALANCE, {"organization": organization, "seq": seq, "at": at})).all()
    if not rows:
        return Balance(0, 0, 0, (), 0)
    lots = tuple(Lot(*row[3:]) for row in rows if row.id is not None)
    available = sum(lot.remaining_micros for lot in lots if lot.is_usable)
    return Balance(available, rows[0].held, rows[0].debt, lots, rows[0].seq)


async def seq_at(tx: Tx, organization: str, instant: datetime) -> int:
    """The number of the last transaction booked up to the instant; 0 when there is none."""
    return int((await tx.execute(_SEQ_AT, {"organization": organization, "at": instant})).scalar() or 0)


async def statement(
    tx: Tx, organization: str, *, before_seq: int | None = None, limit: int = 100
) -> Sequence[Transaction]:
    """Transactions with a number below `before_seq`, the newest first: go on with the last one's number."""
    rows = await tx.execute(
        text(f"""
            SELECT {_COLUMNS} FROM ledger_transactions AS t
            WHERE organization_id = :organization AND seq < :before ORDER BY seq DESC LIMIT :limit
        """),  # noqa: S608 - column names of our own
        {"organization": organization, "before": before_seq or _LAST_SEQ, "limit": limit},
    )
    return [Transaction(*row) for row in rows]


async def entries_of(tx: Tx, organization: str, event_id: str, source: str | None = None) -> Sequence[Entry]:
    """What was booked for events of this id, from one source or all (at most 10 then)."""
    rows = await tx.execute(
        text(f"""
            SELECT i.source, i.family, i.topic, i.partition_no, i.offset_no, i.accepted_at, {_COLUMNS}
            FROM inbox AS i LEFT JOIN ledger_transactions AS t ON t.id = i.transaction_id
            WHERE i.organization_id = :organization AND i.event_id = :event_id
              AND (CAST(:source AS text) IS NULL OR i.source = :source)
            ORDER BY i.source LIMIT 10
        """),  # noqa: S608 - column names of our own
        {"organization": organization, "event_id": event_id, "source": source},
    )
    return [Entry._make((*row[:6], Transaction(*row[6:]) if row[6] is not None else None)) for row in rows]


async def progress(tx: Tx) -> dict[tuple[str, int], Read]:
    """How far each (topic, partition) was read; what was never read is left out."""
    rows = await tx.execute(text("SELECT topic, partition_no, next_offset, accepted_at FROM ledger_progress"))
    return {(row[0], row[1]): Read(row[2], row[3]) for row in rows}
