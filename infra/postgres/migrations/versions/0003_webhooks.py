"""Webhook endpoints, messages, deliveries, attempts and dispatchers."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE webhook_endpoints (
            id text PRIMARY KEY,
            organization_id text NOT NULL,
            url text NOT NULL,
            description text,
            event_types text[] NOT NULL,
            enabled boolean NOT NULL,
            secrets jsonb NOT NULL,
            headers jsonb NOT NULL,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            deleted_at timestamptz,
            disabled_at timestamptz,
            disabled_reason text,
            failures integer NOT NULL,
            failing_since timestamptz,
            breaker_trips smallint NOT NULL,
            breaker_until timestamptz
        )
    """)
    op.execute("""
        CREATE INDEX webhook_endpoints_by_organization ON webhook_endpoints (organization_id, id)
        WHERE deleted_at IS NULL
    """)
    op.execute("""
        CREATE TABLE webhook_messages (
            id uuid PRIMARY KEY,
            organization_id text NOT NULL,
            event_id text NOT NULL,
            source text NOT NULL,
            type text NOT NULL,
            payload text NOT NULL,
            cause_source text,
            cause_id text,
            traceparent text,
            created_at timestamptz NOT NULL
        )
    """)
    op.execute("""
        CREATE UNIQUE INDEX webhook_messages_by_identity ON webhook_messages (organization_id, event_id, source)
    """)
    op.execute("""
        CREATE INDEX webhook_messages_by_cause ON webhook_messages (organization_id, cause_id)
        WHERE cause_id IS NOT NULL
    """)
    op.execute("""
        CREATE TABLE webhook_deliveries (
            id uuid PRIMARY KEY,
            organization_id text NOT NULL,
            endpoint_id text NOT NULL,
            message_id uuid NOT NULL,
            state text NOT NULL CHECK (state IN ('pending', 'succeeded', 'dead', 'held')),
            attempts smallint NOT NULL,
            due_at timestamptz NOT NULL,
            fencing bigint NOT NULL,
            lease_owner uuid,
            last_status smallint,
            last_error text,
            created_at timestamptz NOT NULL,
            finished_at timestamptz
        ) WITH (fillfactor = 70)
    """)
    op.execute("CREATE UNIQUE INDEX webhook_deliveries_once ON webhook_deliveries (message_id, endpoint_id)")
    op.execute("""
        CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, due_at, id)
        WHERE state = 'pending'
    """)
    op.execute("CREATE INDEX webhook_deliveries_by_organization ON webhook_deliveries (organization_id, id)")
    op.execute("CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (endpoint_id, id)")
    op.execute("""
        CREATE TABLE webhook_attempts (
            delivery_id uuid NOT NULL,
            number smallint NOT NULL,
            at timestamptz NOT NULL,
            duration_ms integer NOT NULL,
            outcome text NOT NULL,
            status smallint,
            error text,
            headers jsonb,
            body text,
            PRIMARY KEY (delivery_id, number)
        )
    """)
    op.execute("""
        CREATE FUNCTION webhook_attempts_are_final() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'webhook_attempts is append-only' USING ERRCODE = 'restrict_violation';
        END $$
    """)
    op.execute("""
        CREATE TRIGGER webhook_attempts_append_only BEFORE UPDATE ON webhook_attempts
        FOR EACH STATEMENT EXECUTE FUNCTION webhook_attempts_are_final()
    """)
    op.execute("""
        CREATE TABLE webhook_dispatchers (
            id uuid PRIMARY KEY,
            name text NOT NULL,
            heartbeat_at timestamptz NOT NULL
        )
    """)
