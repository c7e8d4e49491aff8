"""What an organization was told of: facts in the outbox, in order."""

from typing import Any

import asyncpg

from contracts import catalog
from infra.postgres.database import Database


async def facts_of(database: Database, organization: str) -> list[tuple[str, dict[str, Any]]]:
    """Type and data of every fact that no relay has shipped."""
    connection = await asyncpg.connect(database.dsn)
    rows = await connection.fetch("SELECT payloads FROM outbox WHERE organization_id = $1 ORDER BY id", organization)
    await connection.close()
    envelopes = [catalog.decode(payload)[0] for row in rows for payload in row["payloads"]]
    return [(one.type, dict(one.data)) for one in envelopes]
