"""Writes facts, the identities that guard them, and how far the log has been written.

The law: an identity's facts are in the table only once they can never be counted twice. Hence the order, kept by
consumers.analytics: `known` -> `insert_identities` -> `insert_usage` / `insert_charges` -> `save_progress`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, NamedTuple

import pyarrow as pa

from infra.clickhouse.client import ClickHouse

LOOKUP_SIZE: Final = 4_000
"""Identities in one lookup: 33 bytes of text each, half of the 256 KiB that a server parses by default."""

_INSTANT: Final = pa.timestamp("us", "UTC")
_TEXT: Final = pa.string()

USAGE: Final = pa.schema(
    {
        "organization_id": _TEXT,
        "event_time": _INSTANT,
        "accepted_at": _INSTANT,
        "source": _TEXT,
        "event_id": _TEXT,
        "service": _TEXT,
        "provider": _TEXT,
        "model": _TEXT,
        "operation": _TEXT,
        "input_tokens": pa.uint64(),
        "cached_input_tokens": pa.uint64(),
        "cache_write_tokens": pa.uint64(),
        "output_tokens": pa.uint64(),
        "reasoning_tokens": pa.uint64(),
        "audio_tokens": pa.uint64(),
        "image_tokens": pa.uint64(),
        "quantity": pa.decimal128(19, 6),
        "unit": _TEXT,
        "user": _TEXT,
        "team": _TEXT,
        "api_key": _TEXT,
        "request_id": _TEXT,
        "duration_ms": pa.uint64(),
        "status": _TEXT,
        "properties": pa.map_(_TEXT, _TEXT),
        "topic": _TEXT,
        "partition": pa.uint32(),
        "offset": pa.uint64(),
    }
)
"""Columns of `usage_facts` in Arrow's types; null: the record tells nothing."""

_FREE_TEXT: Final = frozenset(("event_id", "user", "request_id"))
"""Texts with too many values for a dictionary."""
_DEFAULTS: Final[dict[str, Any]] = {"status": "succeeded", "duration_ms": None, "properties": []}
"""What stands where nothing is told, unless it is an empty text or 0."""

CHARGE_COLUMNS: Final[dict[str, str]] = {
    "organization_id": "LowCardinality(String)",
    "event_time": "DateTime64(6, 'UTC')",
    "booked_at": "DateTime64(6, 'UTC')",
    "transaction_id": "String",
    "source": "LowCardinality(String)",
    "event_id": "String",
    "amount_micros": "Int64",
    "price_version": "UInt32",
    "service": "LowCardinality(String)",
    "provider": "LowCardinality(String)",
    "model": "LowCardinality(String)",
    "user": "String",
    "team": "LowCardinality(String)",
    "total_tokens": "UInt64",
    "topic": "LowCardinality(String)",
    "partition": "UInt32",
    "offset": "UInt64",
}

_PROGRESS_COLUMNS: Final[dict[str, str]] = {
    "topic": "LowCardinality(String)",
    "partition": "UInt32",
    "next_offset": "UInt64",
    "accepted_at": "DateTime64(6, 'UTC')",
}

Columns = Mapping[str, Sequence[Any]]
"""Values by column, all of one length; a column that is left out has its default in every row."""


class Place(NamedTuple):
    """Where an identity came first, and with which time (microseconds since 1970)."""

    topic: str
    partition: int
    offset: int
    event_time_us: int


class Progress(NamedTuple):
    """Everything below `next_offset` is in the tables; `accepted_at` is of the last record below it."""

    next_offset: int
    accepted_at: datetime


async def known(clickhouse: ClickHouse, identities: Sequence[bytes]) -> dict[bytes, set[Place]]:
    """Where those of the identities that were seen before came first.

    One place each; more only while an organization's records move to another partition (see README.md).
    """
    found: dict[bytes, set[Place]] = {}
    remaining = iter(identities)
    while chunk := b"".join(islice(remaining, LOOKUP_SIZE)):
        rows = await clickhouse.query(_KNOWN, {"identities": chunk.hex(",", 16)})
        for row in rows:
            place = Place(row["topic"], row["partition"], row["offset"], row["event_time_us"])
            found.setdefault(row["identity"], set()).add(place)
    return found


# The text is bound by the client into the body: a bound parameter of this size would not fit a server's URL.
# Both sides must be FixedString: compared with a String, an identity that ends in a zero byte is never found.
_KNOWN: Final = """
SELECT DISTINCT identity, topic, partition, offset, toUnixTimestamp64Micro(event_time) AS event_time_us
FROM usage_identities
WHERE identity IN (SELECT toFixedString(unhex(arrayJoin(splitByChar(',', %(identities)s))), 16))
"""


async def identities(clickhouse: ClickHouse) -> AsyncIterator[list[bytes]]:
    """Every identity in the table, in portions; some may come twice."""
    for first in range(256):
        rows = await clickhouse.query(
            "SELECT identity FROM usage_identities WHERE identity BETWEEN unhex({low:String}) AND unhex({high:String})",
            {"low": f"{first:02x}" + "00" * 15, "high": f"{first:02x}" + "ff" * 15},
        )
        yield [row["identity"] for row in rows]


async def insert_identities(clickhouse: ClickHouse, found: pa.Table) -> None:
    """Remembers where identities came first: `identity` (16 bytes), `event_time` and the place in the log."""
    await clickhouse.insert_arrow("usage_identities", found)


def stored(usage: pa.Table) -> pa.Table:
    """Usage (see USAGE) as it is inserted: what no row tells is left out and has the column's default."""
    columns = dict(zip(usage.column_names, usage.columns, strict=True))
    return pa.table(
        {name: _filled(name, column) for name, column in columns.items() if column.null_count < len(column)}
    )


async def insert_usage(clickhouse: ClickHouse, usage: pa.Table) -> None:
    """Writes usage facts, `stored`. The same record again changes nothing that a query can see."""
    await clickhouse.insert_arrow("usage_facts", usage)


async def insert_charges(clickhouse: ClickHouse, columns: Columns) -> None:
    """Writes charges. The same record again changes nothing that a query can see."""
    await _insert(clickhouse, "charge_facts", columns, CHARGE_COLUMNS)


async def save_progress(clickhouse: ClickHouse, done: Mapping[tuple[str, int], tuple[int, int]]) -> None:
    """Remembers (next offset, accepted_at in microseconds) by (topic, partition)."""
    rows = [(*place, *reached) for place, reached in done.items()]
    columns = dict(zip(_PROGRESS_COLUMNS, zip(*rows, strict=True), strict=True))
    await _insert(clickhouse, "sink_progress", columns, _PROGRESS_COLUMNS)


async def progress(clickhouse: ClickHouse) -> dict[tuple[str, int], Progress]:
    """How far each (topic, partition) has been written."""
    rows = await clickhouse.query(
        "SELECT topic, partition, next_offset, accepted_at FROM sink_progress FINAL ORDER BY topic, partition"
    )
    return {(row["topic"], row["partition"]): Progress(row["next_offset"], row["accepted_at"]) for row in rows}


def _filled(name: str, column: Any) -> Any:
    text = pa.types.is_string(column.type)
    default = _DEFAULTS.get(name, "" if text else 0)
    if column.null_count and default is not None:
        column = column.fill_null(pa.scalar(default, column.type))
    return column.dictionary_encode() if text and name not in _FREE_TEXT else column


async def _insert(clickhouse: ClickHouse, table: str, columns: Columns, types: Mapping[str, str]) -> None:
    names = list(columns)
    await clickhouse.insert(table, list(columns.values()), names, [types[name] for name in names])
