"""First answers to requests with an Idempotency-Key."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE idempotency_keys (
            organization_id text NOT NULL,
            key text NOT NULL,
            request_hash bytea NOT NULL,
            started_at timestamptz NOT NULL,
            status integer,
            content_type text,
            body bytea,
            PRIMARY KEY (organization_id, key)
        )
    """)
    op.execute("CREATE INDEX idempotency_keys_by_start ON idempotency_keys (started_at)")
