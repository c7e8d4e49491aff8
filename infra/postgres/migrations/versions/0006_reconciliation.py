"""Up to where the log has been compared and found clean."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE reconcile_marks (
            topic text,
            partition_no integer,
            next_offset bigint NOT NULL,
            reconciled_at timestamptz NOT NULL,
            PRIMARY KEY (topic, partition_no)
        )
    """)
