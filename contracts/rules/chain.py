"""The hash chain over an organization's ledger transactions: a statement can be proven, a changed row shows."""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from contracts.types import iso8601


class Posting(NamedTuple):
    """One signed line of a balanced transaction; `grant_id` names the lot on the wallet's lines."""

    account: str
    grant_id: UUID | None
    amount_micros: int


class ChainRow(NamedTuple):
    """What a transaction's hash covers, besides the hash before it."""

    id: UUID
    seq: int
    kind: str
    amount_micros: int
    event_source: str | None
    event_id: str | None
    used_at: datetime
    accepted_at: datetime
    booked_at: datetime
    price_version: int | None
    detail: str
    available_after_micros: int
    debt_after_micros: int
    reverses: UUID | None
    postings: tuple[Posting, ...]


def first_hash(organization: str) -> bytes:
    """What stands before an organization's first transaction: SHA-256 of its id."""
    return hashlib.sha256(organization.encode()).digest()


def next_hash(before: bytes, row: ChainRow) -> bytes:
    """SHA-256 of the hash before and the row: its fields as text joined by NUL, which none of them can hold.

    Instants are UTC in ISO 8601, ids 32 hexadecimal digits, nothing is empty, postings `account:grant:amount` in
    the order of their lines.
    """
    return hashlib.sha256(before + canonical(row)).digest()


def canonical(row: ChainRow) -> bytes:
    """The row as the bytes that are hashed."""
    (id_, seq, kind, amount, source, event_id, used_at, accepted_at, booked_at, version, detail, available, debt,
     reverses, postings) = row  # fmt: skip
    lines = ",".join([f"{account:s}:{grant.hex if grant else ''}:{amount}" for account, grant, amount in postings])
    # One f-string: half the time of joining a tuple, and this is done for every booking.
    return (
        f"{id_.hex}\0{seq}\0{kind:s}\0{amount}\0{source or ''}\0{event_id or ''}\0{iso8601(used_at)}\0"
        f"{iso8601(accepted_at)}\0{iso8601(booked_at)}\0{'' if version is None else version}\0{detail}\0"
        f"{available}\0{debt}\0{reverses.hex if reverses else ''}\0{lines}"
    ).encode()


def broken_link(before: bytes, seq: int, rows: Iterable[tuple[ChainRow, bytes]]) -> int | None:
    """The number of the first row after `seq` that is missing or whose stored hash is not the one computed."""
    for row, stored in rows:
        seq += 1
        before = next_hash(before, row)
        if row.seq != seq or before != stored:
            return seq
    return None
