"""What reconcile asks of analytics' side."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from contracts.envelope import identity_hash
from infra.clickhouse.client import ClickHouse

Identity = tuple[str, str, str]
"""Organization, source, id."""

CHUNK: Final = 2_000
CHUNK_BYTES: Final = 100_000
"""Below a server's default `http_max_field_value_size` of 128 KiB."""

_USAGE: Final = """
    SELECT organization_id, source, event_id, toInt64(total_tokens) AS total_tokens, event_time
    FROM usage WHERE organization_id IN {organizations:Array(String)} AND event_id IN {ids:Array(String)}
"""
_CHARGES: Final = """
    SELECT organization_id, source, event_id, sum(amount_micros) AS micros
    FROM charges WHERE organization_id IN {organizations:Array(String)} AND event_id IN {ids:Array(String)}
"""
_BETWEEN: Final = " AND event_time BETWEEN {first:DateTime64(6, 'UTC')} AND {last:DateTime64(6, 'UTC')}"
_PER_EVENT: Final = " GROUP BY organization_id, source, event_id"

_IN_RANGE: Final = """
    SELECT organization_id, source, event_id FROM usage
    WHERE topic = {topic:String} AND partition = {partition:UInt32}
      AND offset >= {start:UInt64} AND offset < {end:UInt64}
"""


class Times(NamedTuple):
    """Between which event times to look: the sorting key has the time, an identity alone does not tell it."""

    first: datetime
    last: datetime


async def analysed(clickhouse: ClickHouse, identities: Sequence[Identity], times: Times) -> dict[Identity, int]:
    """Total tokens of these identities; what is absent in the time range is looked for at any time."""
    found = await _find(clickhouse, _USAGE, "", "total_tokens", identities, times)
    return found | await _find(clickhouse, _USAGE, "", "total_tokens", _without(identities, found), None)


async def charged(clickhouse: ClickHouse, identities: Sequence[Identity], times: Times) -> dict[Identity, int]:
    """Micro-credits charged for these usage events; what is absent in the time range is looked for at any time."""
    found = await _find(clickhouse, _CHARGES, _PER_EVENT, "micros", identities, times)
    return found | await _find(clickhouse, _CHARGES, _PER_EVENT, "micros", _without(identities, found), None)


async def analysed_in_range(clickhouse: ClickHouse, topic: str, partition: int, start: int, end: int) -> set[Identity]:
    """The identities whose first record stands at start <= offset < end."""
    rows = await clickhouse.query(_IN_RANGE, {"topic": topic, "partition": partition, "start": start, "end": end})
    return {(row["organization_id"], row["source"], row["event_id"]) for row in rows}


async def forget(clickhouse: ClickHouse, identities: Sequence[Identity]) -> None:
    """Forgets where identities came first, so that facts that are missing can be written again."""
    for chunk in _chunks(identities):
        hashes = [identity_hash(*identity).hex() for identity in chunk]
        await clickhouse.command(
            "DELETE FROM usage_identities WHERE hex(identity) IN {hashes:Array(String)}",
            {"hashes": [text.upper() for text in hashes]},
        )


async def _find(
    clickhouse: ClickHouse, sql: str, tail: str, column: str, identities: Sequence[Identity], times: Times | None
) -> dict[Identity, int]:
    found: dict[Identity, int] = {}
    for chunk in _chunks(identities):
        wanted = set(chunk)
        params: dict[str, Any] = {
            "organizations": sorted({organization for organization, _, _ in chunk}),
            "ids": [event_id for _, _, event_id in chunk],
        }
        if times is not None:
            params |= {"first": times.first, "last": times.last}
        rows = await clickhouse.query(sql + (_BETWEEN if times else "") + tail, params)
        for row in rows:
            identity = (row["organization_id"], row["source"], row["event_id"])
            if identity in wanted:
                found[identity] = row[column]
    return found


def _without(identities: Sequence[Identity], found: dict[Identity, int]) -> list[Identity]:
    return [identity for identity in identities if identity not in found]


def _chunks(identities: Sequence[Identity]) -> Iterable[Sequence[Identity]]:
    """At most CHUNK at a time, and no more text than a server takes in one bound parameter."""
    start = size = 0
    for at, (_, _, event_id) in enumerate(identities):
        size += len(event_id.encode()) + 8
        if at - start == CHUNK or size > CHUNK_BYTES:
            yield identities[start:at]
            start, size = at, len(event_id.encode()) + 8
    if identities[start:]:
        yield identities[start:]
