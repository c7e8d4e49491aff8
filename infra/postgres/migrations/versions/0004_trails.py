"""Outbox, dead letters and the audit trail."""

from alembic import op

revision = "0004"
down_revision = "0003"

TABLES = (
    """
    CREATE TABLE outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        topic text NOT NULL,
        organization_id text NOT NULL,
        payloads bytea[] NOT NULL,
        size_bytes integer NOT NULL,
        traceparent text,
        created_at timestamptz NOT NULL DEFAULT now()
    ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)
    """,
    # Written once, read once: compressing it would cost more than it saves.
    "ALTER TABLE outbox ALTER COLUMN payloads SET STORAGE EXTERNAL",
    """
    CREATE TABLE dead_letters (
        id uuid PRIMARY KEY,
        consumer text NOT NULL,
        topic text NOT NULL,
        partition_no integer NOT NULL,
        offset_no bigint NOT NULL,
        organization_id text,
        event_source text,
        event_id text,
        event_type text,
        reason text NOT NULL,
        message text NOT NULL,
        key bytea,
        value bytea,
        headers jsonb NOT NULL,
        parked_at timestamptz NOT NULL,
        state text NOT NULL CHECK (state IN ('parked', 'redriven', 'dropped')),
        resolved_at timestamptz,
        resolved_by text,
        redrives integer NOT NULL DEFAULT 0,
        UNIQUE (consumer, topic, partition_no, offset_no)
    )
    """,
    "CREATE INDEX dead_letters_parked ON dead_letters (consumer, reason) WHERE state = 'parked'",
    "CREATE INDEX dead_letters_by_event ON dead_letters (organization_id, event_id)",
    """
    CREATE TABLE audit_heads (
        organization_id text PRIMARY KEY,
        seq bigint NOT NULL,
        hash bytea NOT NULL
    )
    """,
    """
    CREATE TABLE audit_trail (
        organization_id text NOT NULL,
        seq bigint NOT NULL,
        event_source text NOT NULL,
        event_id text NOT NULL,
        event_type text NOT NULL,
        body_hash bytea NOT NULL,
        subject text,
        actor text,
        address text,
        occurred_at timestamptz NOT NULL,
        accepted_at timestamptz NOT NULL,
        request_id text,
        data jsonb NOT NULL,
        hash bytea NOT NULL,
        PRIMARY KEY (organization_id, seq),
        UNIQUE (organization_id, event_source, event_id)
    )
    """,
)

REFUSED = """
    CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% of % is refused: the audit trail is append-only', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END $$
"""


def upgrade() -> None:
    for statement in (*TABLES, REFUSED):
        op.execute(statement)
    op.execute("""
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_trail
        FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()
    """)
