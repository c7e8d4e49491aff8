"""What a batch writes to the ledger: one statement a table; call them in the order they stand here."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from infra.postgres.database import Tx, raw

INBOX: Final = (
    "organization_id", "event_id", "source", "body_hash", "family", "topic", "partition_no", "offset_no",
    "accepted_at", "transaction_id", "input_tokens", "output_tokens", "total_tokens",
)  # fmt: skip
TRANSACTIONS: Final = (
    "id", "organization_id", "seq", "kind", "amount_micros", "event_source", "event_id", "used_at", "accepted_at",
    "booked_at", "price_version", "detail", "available_after_micros", "debt_after_micros", "reverses", "hash",
)  # fmt: skip
POSTINGS: Final = ("transaction_id", "line", "organization_id", "account", "grant_id", "amount_micros")
GRANTS: Final = (
    "id", "organization_id", "source", "priority", "effective_at", "expires_at", "scope", "cost_basis_nanos",
    "amount_micros", "remaining_micros", "event_source", "event_id", "reason", "granted_at", "created_at", "is_open",
    "settled",
)  # fmt: skip

Row = tuple[Any, ...]


class NewHead(NamedTuple):
    """An organization's head after the batch."""

    organization: str
    seq: int
    hash: bytes
    booked_at: datetime
    level: str


async def copy(tx: Tx, table: str, columns: Sequence[str], rows: Collection[Row]) -> None:
    """Writes the rows with COPY; `columns` is one of the tuples above."""
    if rows:
        await (await raw(tx)).copy_records_to_table(table, records=rows, columns=columns)


async def add_inbox(tx: Tx, rows: Collection[Row]) -> None:
    """Remembers the identities (columns `INBOX`)."""
    await copy(tx, "inbox", INBOX, rows)


async def add_transactions(tx: Tx, rows: Collection[Row]) -> None:
    """Writes transactions (columns `TRANSACTIONS`); their postings must follow before the commit."""
    await copy(tx, "ledger_transactions", TRANSACTIONS, rows)


async def add_postings(tx: Tx, rows: Collection[Row]) -> None:
    """Writes postings (columns `POSTINGS`): all of a transaction in one call, or the database refuses."""
    await copy(tx, "postings", POSTINGS, rows)


async def add_grants(tx: Tx, rows: Collection[Row]) -> None:
    """Writes new lots (columns `GRANTS`)."""
    await copy(tx, "grants", GRANTS, rows)


async def set_remaining(tx: Tx, remaining: Mapping[UUID, int]) -> None:
    """Sets what is left of lots; one with nothing left is closed."""
    if remaining:
        ids = sorted(remaining)
        await (await raw(tx)).execute(
            """
            UPDATE grants SET remaining_micros = changed.remaining_micros, is_open = changed.remaining_micros > 0
            FROM unnest($1::uuid[], $2::bigint[]) AS changed (id, remaining_micros) WHERE grants.id = changed.id
            """,
            ids,
            [remaining[grant_id] for grant_id in ids],
        )


async def set_settled(tx: Tx, grants: Sequence[UUID]) -> None:
    """Notes that the lots have begun and had their turn at repaying debt."""
    await (await raw(tx)).execute("UPDATE grants SET settled = true WHERE id = ANY($1::uuid[])", grants)


async def set_balances(tx: Tx, balances: Mapping[tuple[str, str], int]) -> None:
    """Sets balances by (organization, account), making the accounts that are missing; their heads must be locked."""
    if balances:
        keys = sorted(balances)
        await (await raw(tx)).execute(
            """
            INSERT INTO accounts (organization_id, kind, balance_micros)
            SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
            ON CONFLICT (organization_id, kind) DO UPDATE SET balance_micros = excluded.balance_micros
            """,
            [organization for organization, _ in keys],
            [kind for _, kind in keys],
            [balances[key] for key in keys],
        )


async def move_heads(tx: Tx, heads: Sequence[NewHead]) -> None:
    """Sets the locked heads to the end of the chains."""
    if heads:
        await (await raw(tx)).execute(
            """
            UPDATE ledger_heads SET seq = new.seq, hash = new.hash, booked_at = new.booked_at, level = new.level
            FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::timestamptz[], $5::text[])
                AS new (organization_id, seq, hash, booked_at, level)
            WHERE ledger_heads.organization_id = new.organization_id
            """,
            *map(list, zip(*heads, strict=True)),
        )


async def advance(tx: Tx, progress: Mapping[tuple[str, int], tuple[int, datetime]]) -> None:
    """Notes how far partitions were read: (topic, partition) to (next offset, acceptance of the last record).

    Goes forward only: a replay does not take it back. Last in a transaction: two batches of one partition queue here.
    """
    if progress:
        keys = sorted(progress)
        await (await raw(tx)).execute(
            """
            INSERT INTO ledger_progress AS known (topic, partition_no, next_offset, accepted_at)
            SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::timestamptz[])
            ON CONFLICT (topic, partition_no) DO UPDATE
            SET next_offset = GREATEST(known.next_offset, excluded.next_offset),
                accepted_at = GREATEST(known.accepted_at, excluded.accepted_at)
            """,
            [topic for topic, _ in keys],
            [partition for _, partition in keys],
            [progress[key][0] for key in keys],
            [progress[key][1] for key in keys],
        )
