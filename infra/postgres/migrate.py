"""Brings a database to the newest schema."""

from importlib.resources import files
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from contracts.errors import ConfigError
from infra.postgres.database import Database, database_errors

_LOCK: Final = 7_261_001
"""Advisory lock: two migration jobs at once take turns."""


async def migrate(database: Database) -> tuple[str | None, str]:
    """The revision before and after. Safe to run from two processes at once.

    Raises: ConfigError when the database is newer than this program; DatabaseUnavailable.
    """
    with database_errors():
        async with database.engine.begin() as connection:
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            return await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> tuple[str | None, str]:
    config = Config()
    config.set_main_option("script_location", str(files("infra.postgres") / "migrations"))
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    before = MigrationContext.configure(connection).get_current_revision()
    if before is not None and before not in {revision.revision for revision in script.walk_revisions()}:
        raise ConfigError(f"The database is at revision {before}, which this program does not know: use a newer one")
    command.upgrade(config, "head")
    return before, str(script.get_current_head())
