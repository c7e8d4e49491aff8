"""Answers under an Idempotency-Key are kept sealed: those that were kept in clear are forgotten."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute("DELETE FROM idempotency_keys")
