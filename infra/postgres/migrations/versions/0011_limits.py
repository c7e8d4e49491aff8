"""Rate limits count in windows (decision 0011): what stood there was unlogged and may go."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute("DROP TABLE rate_limits")
    # Half-empty pages keep every update on its own page (HOT): no index entry, nothing for vacuum to visit.
    op.execute("""
        CREATE UNLOGGED TABLE rate_limits (
            subject text PRIMARY KEY,
            began_at timestamptz NOT NULL,
            used bigint NOT NULL,
            granted bigint NOT NULL
        ) WITH (fillfactor = 50)
    """)
