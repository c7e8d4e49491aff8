"""Brings all three engines to what this program expects; safe to run again and at the same time."""

from infra.clickhouse.client import ClickHouse
from infra.clickhouse.migrate import migrate as migrate_clickhouse
from infra.kafka.admin import ensure_topics
from infra.kafka.options import KafkaOptions
from infra.postgres.database import Database
from infra.postgres.migrate import migrate as migrate_postgres


async def migrate_all(kafka: KafkaOptions, database: Database, clickhouse: ClickHouse) -> dict[str, str]:
    """Topics, tables and views; what each engine stands at now.

    Raises: ConfigError when one of them is newer than this program; Unavailable.
    """
    await ensure_topics(kafka)
    before, after = await migrate_postgres(database)
    await migrate_clickhouse(clickhouse)
    return {"kafka": "topics are there", "postgres": f"{before or 'empty'} -> {after}", "clickhouse": "up to date"}
