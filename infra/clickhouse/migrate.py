"""Brings a ClickHouse database to the newest schema: numbered SQL files, the same on chDB and on a server."""

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from contracts.errors import ConfigError
from infra.clickhouse.client import ClickHouse

_NAME: Final = re.compile(r"(\d{4})_(\w+)\.sql")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the tables live: `name` None is one server; else replicated tables, made on the whole cluster.

    A server's `default_replica_path` and `default_replica_name` say where replicas meet.
    """

    name: str | None = None

    @property
    def on_cluster(self) -> str:
        """The clause of a DDL statement."""
        return f"ON CLUSTER `{self.name}`" if self.name else ""

    def fill(self, sql: str) -> str:
        """The statement with `{on_cluster}` and `{replicated}` filled in."""
        return sql.replace("{on_cluster}", self.on_cluster).replace("{replicated}", "Replicated" if self.name else "")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file; its statements can each be run again, because ClickHouse has no transaction around them."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Tells whether the file is the one that was run."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def statements(self) -> list[str]:
        """Its statements, comments included; a semicolon at the end of a line ends one."""
        return [part.strip() for part in re.split(r";\s*\n", self.sql + "\n") if part.strip()]


_MIGRATIONS_TABLE: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations {on_cluster}
(version UInt32, name String, checksum String, applied_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'))
ENGINE = {replicated}ReplacingMergeTree ORDER BY version
"""


def migrations() -> list[Migration]:
    """Every migration, in order."""
    found = []
    for file in (files("infra.clickhouse") / "migrations").iterdir():
        match = _NAME.fullmatch(file.name)
        if match:
            found.append(Migration(int(match[1]), match[2], file.read_text()))
    return sorted(found, key=lambda migration: migration.version)


async def migrate(clickhouse: ClickHouse, cluster: Cluster = Cluster()) -> tuple[int, int]:
    """The version before and after. Safe to run again, and from two processes at once.

    Raises: ConfigError when the database is newer than this program or an old migration was edited;
    AnalyticsUnavailable.
    """
    await clickhouse.create_database(cluster.on_cluster)
    await clickhouse.command(cluster.fill(_MIGRATIONS_TABLE))
    known = migrations()
    done = await _applied(clickhouse)
    _check(known, done)
    for migration in known:
        if migration.version not in done:
            await _apply(clickhouse, cluster, migration)
    return max(done, default=0), known[-1].version


async def _applied(clickhouse: ClickHouse) -> dict[int, str]:
    rows = await clickhouse.query("SELECT version, checksum FROM schema_migrations FINAL")
    return {row["version"]: row["checksum"] for row in rows}


def _check(known: list[Migration], done: dict[int, str]) -> None:
    sums = {migration.version: migration.checksum for migration in known}
    for version, checksum in done.items():
        if version not in sums:
            raise ConfigError(f"ClickHouse is at schema {version}, which this program does not know: use a newer one")
        if sums[version] != checksum:
            raise ConfigError(f"ClickHouse migration {version:04} was edited after it had run: add a new one instead")


async def _apply(clickhouse: ClickHouse, cluster: Cluster, migration: Migration) -> None:
    for statement in migration.statements():
        await clickhouse.command(cluster.fill(statement), deadline_s=600.0)
    await clickhouse.insert(
        "schema_migrations",
        [[migration.version], [migration.name], [migration.checksum]],
        ["version", "name", "checksum"],
        ["UInt32", "String", "String"],
    )
