"""Dead letters in PostgreSQL: browsed, re-driven, dropped; never deleted."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, func, select, update

from infra.postgres.database import Tx, raw
from infra.postgres.tables.trails import dead_letters

State = Literal["parked", "redriven", "dropped"]
PARKED: Final[State] = "parked"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that a consumer parked: where it stood, why, the record itself, and what became of it.

    `headers` are its own, as (name, value) pairs; organization, source, id and type are known when it was readable.
    """

    id: UUID
    consumer: str
    topic: str
    partition: int
    offset: int
    organization: str | None
    event_source: str | None
    event_id: str | None
    event_type: str | None
    reason: str
    message: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    parked_at: datetime
    state: State = PARKED
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    redrives: int = 0


class Filter(NamedTuple):
    """Which dead letters are meant; None matches all."""

    consumer: str | None = None
    reason: str | None = None
    state: State | None = None
    organization: str | None = None
    event_id: str | None = None


async def add_dead_letters(tx: Tx, letters: Sequence[DeadLetter]) -> None:
    """Stores them; one that came before (same consumer, topic, partition, offset) is left as it is."""
    in_key_order = sorted(letters, key=lambda letter: (letter.consumer, letter.topic, letter.partition, letter.offset))
    columns = list(zip(*(_values(letter) for letter in in_key_order), strict=True))
    await (await raw(tx)).execute(
        """
        INSERT INTO dead_letters (
            id, consumer, topic, partition_no, offset_no, organization_id, event_source, event_id, event_type, reason,
            message, key, value, headers, parked_at, state
        )
        SELECT *, 'parked' FROM unnest(
            $1::uuid[], $2::text[], $3::text[], $4::integer[], $5::bigint[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::text[], $12::bytea[], $13::bytea[], $14::jsonb[], $15::timestamptz[]
        )
        ON CONFLICT (consumer, topic, partition_no, offset_no) DO NOTHING
        """,
        *columns,
    )


async def list_dead_letters(tx: Tx, wanted: Filter, *, after: UUID | None = None, limit: int = 50) -> list[DeadLetter]:
    """The newest first, from behind the cursor `after` (the id of the last one seen) on."""
    query = select(dead_letters).where(*_conditions(wanted)).order_by(dead_letters.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(dead_letters.c.id < after)
    return [_letter(row) for row in (await tx.execute(query)).mappings()]


async def dead_letters_of(tx: Tx, ids: Collection[UUID]) -> list[DeadLetter]:
    """Those with the ids, oldest first; unknown ids are left out."""
    query = select(dead_letters).where(dead_letters.c.id.in_(ids)).order_by(dead_letters.c.id)
    return [_letter(row) for row in (await tx.execute(query)).mappings()]


async def mark_redriven(tx: Tx, ids: Collection[UUID], *, by: str, now: datetime) -> list[UUID]:
    """Says that they were published again, and counts it; the ids of those that exist."""
    table = dead_letters
    change = {"state": "redriven", "resolved_at": now, "resolved_by": by, "redrives": table.c.redrives + 1}
    return list(await tx.scalars(update(table).where(table.c.id.in_(ids)).values(change).returning(table.c.id)))


async def mark_dropped(tx: Tx, ids: Collection[UUID], *, by: str, now: datetime) -> list[UUID]:
    """Says that they are given up; the ids of those that were still parked."""
    table = dead_letters
    change = {"state": "dropped", "resolved_at": now, "resolved_by": by}
    parked = table.c.id.in_(ids) & (table.c.state == PARKED)
    return list(await tx.scalars(update(table).where(parked).values(change).returning(table.c.id)))


async def count_parked(tx: Tx) -> dict[tuple[str, str], int]:
    """How many wait for a decision, by (consumer, reason)."""
    table = dead_letters
    query = select(table.c.consumer, table.c.reason, func.count()).where(table.c.state == PARKED)
    found = await tx.execute(query.group_by(table.c.consumer, table.c.reason))
    return {(consumer, reason): count for consumer, reason, count in found}


def _conditions(wanted: Filter) -> list[Any]:
    columns = {
        dead_letters.c.consumer: wanted.consumer,
        dead_letters.c.reason: wanted.reason,
        dead_letters.c.state: wanted.state,
        dead_letters.c.organization_id: wanted.organization,
        dead_letters.c.event_id: wanted.event_id,
    }
    return [column == value for column, value in columns.items() if value is not None]


def _values(letter: DeadLetter) -> tuple[Any, ...]:
    return (
        letter.id,
        letter.consumer,
        letter.topic,
        letter.partition,
        letter.offset,
        letter.organization,
        letter.event_source,
        letter.event_id,
        letter.event_type,
        letter.reason,
        letter.message,
        letter.key,
        letter.value,
        orjson.dumps([[_text(name), value.hex()] for name, value in letter.headers]).decode(),
        letter.parked_at,
    )


def _text(name: str) -> str:
    return name.replace("\0", "")


def _letter(row: RowMapping) -> DeadLetter:
    return DeadLetter(
        id=row["id"],
        consumer=row["consumer"],
        topic=row["topic"],
        partition=row["partition_no"],
        offset=row["offset_no"],
        organization=row["organization_id"],
        event_source=row["event_source"],
        event_id=row["event_id"],
        event_type=row["event_type"],
        reason=row["reason"],
        message=row["message"],
        key=row["key"],
        value=row["value"],
        headers=tuple((name, bytes.fromhex(value)) for name, value in row["headers"]),
        parked_at=row["parked_at"],
        state=row["state"],
        resolved_at=row["resolved_at"],
        resolved_by=row["resolved_by"],
        redrives=row["redrives"],
    )
