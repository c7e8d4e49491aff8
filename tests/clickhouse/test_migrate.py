"""The schema: once, again, from two processes, and never backwards."""

import asyncio

import pytest

from contracts.errors import ConfigError
from infra.clickhouse.client import ClickHouse
from infra.clickhouse.migrate import Cluster, migrate, migrations


async def test_again_and_at_the_same_time_it_changes_nothing(clickhouse: ClickHouse) -> None:
    newest = migrations()[-1].version
    assert await asyncio.gather(*(migrate(clickhouse) for _ in range(3))) == [(newest, newest)] * 3
    tables = await clickhouse.query("SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name")
    assert {"usage_facts", "usage_identities", "charge_facts", "sink_progress", "usage", "charges"} <= {
        table["name"] for table in tables
    }


async def test_what_a_newer_program_has_migrated_is_refused(clickhouse: ClickHouse) -> None:
    await clickhouse.command("INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'x', 'y')")
    with pytest.raises(ConfigError, match="9999"):
        await migrate(clickhouse)


async def test_a_migration_that_was_edited_after_it_had_run_is_refused(clickhouse: ClickHouse) -> None:
    await clickhouse.command("INSERT INTO schema_migrations (version, name, checksum) VALUES (1, 'facts', 'other')")
    with pytest.raises(ConfigError, match="0001 was edited"):
        await migrate(clickhouse)


def test_the_numbers_have_no_gaps() -> None:
    assert [migration.version for migration in migrations()] == list(range(1, len(migrations()) + 1))


def test_on_a_cluster_every_table_is_replicated_and_made_everywhere() -> None:
    for migration in migrations():
        for statement in migration.statements():
            filled = Cluster("hub").fill(statement)
            assert "{" not in filled
            assert "ON CLUSTER `hub`" in filled
            assert ("ENGINE = Replicated" in filled) == ("ENGINE" in statement)
            assert "Replicated" not in Cluster().fill(statement)
