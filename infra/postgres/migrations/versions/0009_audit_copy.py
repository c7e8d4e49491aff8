"""How far the audit trail has been copied to ClickHouse."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute("ALTER TABLE audit_heads ADD COLUMN copied_seq bigint NOT NULL DEFAULT 0")
    op.execute("CREATE INDEX audit_heads_uncopied ON audit_heads (organization_id) WHERE copied_seq < seq")
    op.execute("CREATE INDEX audit_trail_by_actor ON audit_trail (organization_id, actor, seq)")
