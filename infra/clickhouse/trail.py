"""The copy of the audit trail: each link once, with its hash."""

from collections.abc import Sequence
from typing import Final

import orjson

from contracts.rules.trail import Link
from infra.clickhouse.client import ClickHouse

_TYPES: Final[dict[str, str]] = {
    "organization_id": "LowCardinality(String)",
    "seq": "UInt64",
    "event_type": "LowCardinality(String)",
    "source": "LowCardinality(String)",
    "event_id": "String",
    "subject": "String",
    "actor": "String",
    "occurred_at": "DateTime64(6, 'UTC')",
    "accepted_at": "DateTime64(6, 'UTC')",
    "request_id": "String",
    "data": "String",
    "hash": "String",
}
_HASHES: Final = """
    SELECT seq, hash FROM auth_events
    WHERE organization_id = {organization:String} AND seq > {after:UInt64} AND seq <= {through:UInt64}
"""
_END: Final = "SELECT max(seq) AS seq FROM auth_event_facts WHERE organization_id = {organization:String}"


async def insert_links(clickhouse: ClickHouse, links: Sequence[Link]) -> None:
    """Writes the links; again is harmless. Raises: AnalyticsUnavailable."""
    rows = [
        (
            entry.organization, seq, entry.event_type, entry.event_source, entry.event_id, entry.subject or "",
            entry.actor or "", entry.occurred_at, entry.accepted_at, entry.request_id or "",
            orjson.dumps(entry.data).decode(), chained.hex(),
        )
        for seq, entry, chained in links
    ]  # fmt: skip
    await clickhouse.insert("auth_event_facts", list(zip(*rows, strict=True)), list(_TYPES), list(_TYPES.values()))


async def hashes(clickhouse: ClickHouse, organization: str, *, after: int, through: int) -> dict[int, str]:
    """The hashes of the links in (after, through] that have been copied. Raises: AnalyticsUnavailable."""
    params = {"organization": organization, "after": after, "through": through}
    return {row["seq"]: row["hash"] for row in await clickhouse.query(_HASHES, params)}


async def end(clickhouse: ClickHouse, organization: str) -> int:
    """The number of the last link that was copied, 0 before the first. Raises: AnalyticsUnavailable."""
    (row,) = await clickhouse.query(_END, {"organization": organization})
    return int(row["seq"])
