"""Proves that the audit trail is what was written."""

from typing import NamedTuple

from contracts.rules.trail import FIRST, first_break
from infra.postgres import audit
from infra.postgres.database import Database


class Verdict(NamedTuple):
    """One organization's chain: how many rows follow from one another, and the first that does not (None: all do)."""

    organization: str
    rows: int
    broken_at: int | None


async def verify(database: Database, organization: str) -> Verdict:
    """Recomputes the chain from its first row to its head, 1,000 rows at a time.

    It finds rows that were changed, removed, inserted or reordered, the last ones too. It does not find a chain that
    somebody with the database's own rights has rewritten from some row to the end, head included: compare the head
    with one noted elsewhere for that.
    """
    seq, previous = 0, FIRST
    while True:
        async with database.transaction() as tx:
            end = await audit.head(tx, organization)
            links = await audit.links(tx, organization, after=seq)
        if not links:
            break
        broken = first_break(links, previous, seq + 1)
        if broken is not None:
            return Verdict(organization, broken - 1, broken)
        seq, previous = links[-1].seq, links[-1].hash
    return Verdict(organization, seq, None if (seq, previous) == end else seq + 1)


async def verify_all(database: Database) -> list[Verdict]:
    """Every organization's verdict."""
    async with database.transaction() as tx:
        organizations = await audit.organizations(tx)
    return [await verify(database, organization) for organization in organizations]
