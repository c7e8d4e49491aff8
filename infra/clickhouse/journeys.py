"""What analytics knows of one event."""

from datetime import datetime
from typing import Final

from infra.clickhouse.client import ClickHouse

DEADLINE_S: Final = 2.0

_ANALYSED: Final = """
    SELECT min(inserted_at) AS at, count() AS facts FROM usage_facts
    WHERE organization_id = {organization:String} AND source = {source:String} AND event_id = {event_id:String}
"""


async def analysed_at(clickhouse: ClickHouse, organization: str, source: str, event_id: str) -> datetime | None:
    """When the event's fact was first written; None when it is not there. Raises: AnalyticsUnavailable."""
    params = {"organization": organization, "source": source, "event_id": event_id}
    (row,) = await clickhouse.query(_ANALYSED, params, deadline_s=DEADLINE_S)
    found: datetime | None = row["at"] if row["facts"] else None
    return found
