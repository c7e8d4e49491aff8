"""Numbered migrations (alembic): 0001, 0002 ...; `migrate(dsn)` brings a database to the newest."""
