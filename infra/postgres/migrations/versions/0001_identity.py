"""Organizations and API keys."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE organizations (
            id text PRIMARY KEY,
            name text NOT NULL,
            created_at timestamptz NOT NULL
        )
    """)
    op.execute("""
        CREATE TABLE api_keys (
            id text PRIMARY KEY,
            organization_id text NOT NULL REFERENCES organizations,
            name text NOT NULL,
            hint text NOT NULL,
            hash bytea NOT NULL UNIQUE,
            scopes text[] NOT NULL,
            created_at timestamptz NOT NULL,
            expires_at timestamptz,
            revoked_at timestamptz
        )
    """)
    op.execute("CREATE INDEX api_keys_by_organization ON api_keys (organization_id)")
