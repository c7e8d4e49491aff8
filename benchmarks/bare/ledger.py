"""The limit of the ledger consumer: its very rows, batch by batch, written by asyncpg and nothing else.

Same tables, indexes, batches of up to 1,000 and commits (synchronous, one a batch), one after the other on one
connection; COPY for what is new, `unnest` for what changes. No Kafka, no decoding, no reading, no prices, no hash
chain. The triggers that refuse unbalanced postings are on: they belong to the tables, whoever writes has them. (They
once were off here: some 10 us of PostgreSQL's CPU an event. That comparison, with tables that take
anything, is still made in the same run, as a row of its own; so is that with as many writers as the hub has members.)
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import asyncpg

Rows = Sequence[tuple[Any, ...]]
Columns = Sequence[Sequence[Any]]


@dataclass(slots=True)
class Page:
    """What one transaction writes: new rows by table (with column names), and new values as columns."""

    new: list[tuple[str, Sequence[str], Rows]] = field(default_factory=list)
    grants: Columns = ()
    accounts: Columns = ()
    heads: Columns = ()
    progress: Columns = ()

    @property
    def events(self) -> int:
        """How many events it books."""
        return sum(len(rows) for table, _, rows in self.new if table == "inbox")

    @property
    def places(self) -> set[tuple[Any, ...]]:
        """The partitions of its records, with their topics."""
        return set(zip(*self.progress[:2], strict=True))


GRANTS = """
    UPDATE grants SET remaining_micros = changed.remaining, is_open = changed.remaining > 0
    FROM unnest($1::uuid[], $2::bigint[]) AS changed (id, remaining) WHERE grants.id = changed.id
"""
ACCOUNTS = """
    INSERT INTO accounts (organization_id, kind, balance_micros)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
    ON CONFLICT (organization_id, kind) DO UPDATE SET balance_micros = excluded.balance_micros
"""
HEADS = """
    UPDATE ledger_heads SET seq = new.seq, hash = new.hash, booked_at = new.booked_at, level = new.level
    FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::timestamptz[], $5::text[])
        AS new (organization_id, seq, hash, booked_at, level) WHERE ledger_heads.organization_id = new.organization_id
"""
PROGRESS = """
    INSERT INTO ledger_progress (topic, partition_no, next_offset, accepted_at)
    SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::timestamptz[])
    ON CONFLICT (topic, partition_no) DO UPDATE
    SET next_offset = excluded.next_offset, accepted_at = excluded.accepted_at
"""
TABLES = ("ledger_transactions", "postings", "inbox")


async def prepare(dsn: str, *, checks: bool = True) -> asyncpg.Connection:
    """A connection to a copy of the consumer's database, with the tables' checks or without."""
    connection = await asyncpg.connect(dsn)
    for table in () if checks else TABLES:
        await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    return connection


async def rate(connection: asyncpg.Connection, pages: Sequence[Page]) -> float:
    """Events a second from the end of the first page to the end of the last."""
    ends = await write(connection, pages)
    return sum(page.events for page in pages[1:]) / (ends[-1] - ends[0])


async def rate_together(connections: Sequence[asyncpg.Connection], pages: Sequence[Page]) -> float:
    """Events a second of that many writers at once, from the end of each one's first page to the end of the last."""
    shares = _shares(pages, len(connections))
    written = await asyncio.gather(*(write(one, share) for one, share in zip(connections, shares, strict=True)))
    ends = sorted(
        (end, page.events)
        for share, found in zip(shares, written, strict=True)
        for page, end in zip(share, found, strict=True)
    )
    first = len(connections) - 1
    return sum(events for _, events in ends[first + 1 :]) / (ends[-1][0] - ends[first][0])


def _shares(pages: Sequence[Page], writers: int) -> list[list[Page]]:
    """The pages shared out evenly; those that have a partition in common stay together, in their order."""
    groups: list[list[Page]] = []
    for page in pages:
        near: list[list[Page]] = []
        far: list[list[Page]] = []
        for group in groups:
            (near if any(page.places & known.places for known in group) else far).append(group)
        groups = [*far, [*chain.from_iterable(near), page]]
    shares: list[list[Page]] = [[] for _ in range(writers)]
    for group in sorted(groups, key=len, reverse=True):
        min(shares, key=len).extend(group)
    return shares


async def write(connection: asyncpg.Connection, pages: Sequence[Page]) -> list[float]:
    """Writes the pages, a transaction each; when each was committed."""
    ends = []
    for page in pages:
        async with connection.transaction():
            for table, columns, rows in page.new:
                await connection.copy_records_to_table(table, columns=columns, records=rows)
            for sql, columns in ((GRANTS, page.grants), (ACCOUNTS, page.accounts), (HEADS, page.heads)):
                if columns:
                    await connection.execute(sql, *columns)
            await connection.execute(PROGRESS, *page.progress)
        ends.append(time.monotonic())
    return ends
