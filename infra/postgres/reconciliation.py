"""What reconcile asks of the ledger's side."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from infra.postgres.database import Tx, raw
from infra.postgres.tables.reconciliation import reconcile_marks

Identity = tuple[str, str, str]
"""Organization, source, id."""


class Booked(NamedTuple):
    """What the inbox remembers of an identity; `charged_micros` None when it is no charge."""

    body_hash: bytes
    total_tokens: int
    charged_micros: int | None


_BOOKED: Final = """
    SELECT i.organization_id, i.source, i.event_id, i.body_hash, i.total_tokens,
           CASE WHEN t.kind = 'charge' THEN t.amount_micros END AS charged_micros
    FROM unnest($1::text[], $2::text[], $3::text[]) AS asked (organization_id, source, event_id)
    JOIN inbox i USING (organization_id, source, event_id)
    LEFT JOIN ledger_transactions t ON t.id = i.transaction_id
"""

_IN_RANGE: Final = """
    SELECT organization_id, source, event_id FROM inbox
    WHERE topic = $1 AND partition_no = $2 AND offset_no >= $3 AND offset_no < $4
"""

_PARKED: Final = """
    SELECT offset_no FROM dead_letters
    WHERE consumer = $1 AND topic = $2 AND partition_no = $3 AND offset_no >= $4 AND offset_no < $5
"""


async def booked(tx: Tx, identities: Sequence[Identity]) -> dict[Identity, Booked]:
    """What the inbox has of these identities; absent ones are absent."""
    columns = [list(column) for column in zip(*identities, strict=True)] or [[], [], []]
    rows = await (await raw(tx)).fetch(_BOOKED, *columns)
    return {
        (row["organization_id"], row["source"], row["event_id"]): Booked(
            row["body_hash"], row["total_tokens"], row["charged_micros"]
        )
        for row in rows
    }


async def booked_in_range(tx: Tx, topic: str, partition: int, start: int, end: int) -> set[Identity]:
    """The identities whose first record the inbox places at start <= offset < end."""
    rows = await (await raw(tx)).fetch(_IN_RANGE, topic, partition, start, end)
    return {(row["organization_id"], row["source"], row["event_id"]) for row in rows}


async def parked_in_range(tx: Tx, consumer: str, topic: str, partition: int, start: int, end: int) -> set[int]:
    """The offsets of a range that the consumer has parked as dead letters."""
    rows = await (await raw(tx)).fetch(_PARKED, consumer, topic, partition, start, end)
    return {row["offset_no"] for row in rows}


async def marks(tx: Tx) -> dict[tuple[str, int], int]:
    """Up to where each partition was found clean."""
    columns = reconcile_marks.c
    rows = await tx.execute(select(columns.topic, columns.partition_no, columns.next_offset))
    return {(row.topic, row.partition_no): row.next_offset for row in rows}


async def save_mark(tx: Tx, topic: str, partition: int, next_offset: int, now: datetime) -> None:
    """Moves the mark of a partition forward, never back."""
    statement = insert(reconcile_marks).values(
        topic=topic, partition_no=partition, next_offset=next_offset, reconciled_at=now
    )
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["topic", "partition_no"],
            set_={
                "next_offset": func.greatest(reconcile_marks.c.next_offset, statement.excluded.next_offset),
                "reconciled_at": statement.excluded.reconciled_at,
            },
        )
    )
