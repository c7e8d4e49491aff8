"""What was stated and no relay has shipped."""

from typing import Any

import asyncpg

from contracts import catalog
from infra.postgres.database import Database


async def stated(database: Database, user_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Type and data of every fact about the person, in order."""
    connection = await asyncpg.connect(database.dsn)
    rows = await connection.fetch("SELECT payloads FROM outbox ORDER BY id")
    await connection.close()
    envelopes = [catalog.decode(payload)[0] for row in rows for payload in row["payloads"]]
    return [(one.type, dict(one.data)) for one in envelopes if one.data.get("user_id") == user_id]


async def told(database: Database, user_id: str) -> list[tuple[str, str | None]]:
    """Type and, where there is one, factor or provider of every fact about the person, in order."""
    facts = await stated(database, user_id)
    return [(kind, data.get("factor") or data.get("provider")) for kind, data in facts]
