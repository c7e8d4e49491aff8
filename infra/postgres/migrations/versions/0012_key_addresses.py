"""Where a key was used from: a use from elsewhere is told."""

from alembic import op

from infra.postgres.migrations.tenancy import protect

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE key_addresses (
            key_id text NOT NULL REFERENCES api_keys,
            organization_id text NOT NULL,
            place text NOT NULL,
            first_used_at timestamptz NOT NULL,
            PRIMARY KEY (key_id, place)
        )
    """)
    protect("key_addresses", allow="SELECT")
