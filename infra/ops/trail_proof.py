"""Proves that the audit trail is what was written."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from contracts.errors import AnalyticsUnavailable
from contracts.rules.trail import FIRST, Link, first_break
from infra.clickhouse import trail
from infra.clickhouse.client import ClickHouse
from infra.postgres import audit
from infra.postgres.audit import Head
from infra.postgres.database import Database


class Verdict(NamedTuple):
    """One organization's chain: how many rows follow from one another, and the first that does not (None: all do).

    `end` is where the chain ends: note it elsewhere to compare later. `witnessed`: the copy in ClickHouse was asked.
    """

    organization: str
    rows: int
    broken_at: int | None
    end: Head
    witnessed: bool = False


async def verify(
    database: Database, organization: str, *, clickhouse: ClickHouse | None = None, noted: Head | None = None
) -> Verdict:
    """Recomputes the chain from its first row to its head, 1,000 rows at a time.

    It finds rows that were changed, removed, inserted or reordered, the last ones too. A chain that somebody with the
    database's own rights has rewritten from some row to the end, head included, differs from the copy in ClickHouse
    and from a head that was `noted` before.
    """
    seq, previous, witnessed = 0, FIRST, clickhouse is not None
    while True:
        async with database.transaction() as tx:
            end = await audit.head(tx, organization)
            links = await audit.links(tx, organization, after=seq)
        if not links:
            break
        broken = [first_break(links, previous, seq + 1), _differs_from_note(links, noted)]
        if clickhouse is not None:
            differs, asked = await _differs_from_copy(clickhouse, organization, links)
            broken.append(differs)
            witnessed = witnessed and asked
        if found := [one for one in broken if one is not None]:
            return Verdict(organization, min(found) - 1, min(found), Head(seq, previous), witnessed)
        seq, previous = links[-1].seq, links[-1].hash
    whole = (seq, previous) == end and (noted is None or noted.seq <= seq)
    if clickhouse is not None and witnessed:
        whole = whole and await trail.end(clickhouse, organization) <= seq
    return Verdict(organization, seq, None if whole else seq + 1, Head(seq, previous), witnessed)


async def verify_all(database: Database, clickhouse: ClickHouse | None = None) -> list[Verdict]:
    """Every organization's verdict."""
    async with database.transaction() as tx:
        organizations = await audit.organizations(tx)
    return [await verify(database, organization, clickhouse=clickhouse) for organization in organizations]


def summary(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The verdicts as one JSON document."""
    broken = [{"organization_id": one.organization, "broken_at": one.broken_at} for one in verdicts if one.broken_at]
    return {
        "intact": not broken,
        "organizations": len(verdicts),
        "events": sum(one.rows for one in verdicts),
        "broken": broken,
    }


def _differs_from_note(links: list[Link], noted: Head | None) -> int | None:
    return next((link.seq for link in links if noted and link.seq == noted.seq and link.hash != noted.hash), None)


async def _differs_from_copy(clickhouse: ClickHouse, organization: str, links: list[Link]) -> tuple[int | None, bool]:
    """The first link that ClickHouse has otherwise, and whether it could be asked."""
    try:
        copied = await trail.hashes(clickhouse, organization, after=links[0].seq - 1, through=links[-1].seq)
    except AnalyticsUnavailable:
        return None, False
    return next((one.seq for one in links if copied.get(one.seq, one.hash.hex()) != one.hash.hex()), None), True
