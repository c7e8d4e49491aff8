"""Alembic's environment: runs the migrations on the connection that `infra.postgres.migrate` opened."""

from alembic import context

from infra.postgres.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transaction_per_migration=True
)
with context.begin_transaction():
    context.run_migrations()
