"""Copies the audit trail to ClickHouse, for analysts and as a witness: a step of the sweeper."""

from typing import Final

from infra.clickhouse import trail
from infra.clickhouse.client import ClickHouse
from infra.postgres import audit
from infra.postgres.database import Database

LINKS_AT_ONCE: Final = 5_000


async def copy_trail(database: Database, clickhouse: ClickHouse) -> int:
    """How many links were copied; those before the mark are there already, those behind it may come twice.

    Raises: DatabaseUnavailable, AnalyticsUnavailable.
    """
    copied = 0
    while True:
        async with database.transaction() as tx:
            links = await audit.uncopied(tx, LINKS_AT_ONCE)
        if not links:
            return copied
        await trail.insert_links(clickhouse, links)
        ends = {link.entry.organization: link.seq for link in links}
        async with database.transaction() as tx:
            await audit.mark_copied(tx, ends)
        copied += len(links)
