"""Webhook endpoints, what they are to be told, and how that went.

Deliveries name their message and endpoint without foreign keys: both are written in one transaction by one
statement, endpoints are only ever marked as deleted, and a key check for each row would double its price.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, SmallInteger, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

from infra.postgres.tables import metadata

_INSTANT = TIMESTAMP(timezone=True)

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("description", Text),
    Column("event_types", ARRAY(Text), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("secrets", JSONB, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("updated_at", _INSTANT, nullable=False),
    Column("deleted_at", _INSTANT),
    Column("disabled_at", _INSTANT),
    Column("disabled_reason", Text),
    Column("failures", Integer, nullable=False),
    Column("failing_since", _INSTANT),
    Column("breaker_trips", SmallInteger, nullable=False),
    Column("breaker_until", _INSTANT),
)
"""`secrets`: [{"secret", "until"}], newest first; `until` null for the present one."""

Index(
    "webhook_endpoints_by_organization",
    webhook_endpoints.c.organization_id,
    webhook_endpoints.c.id,
    postgresql_where=text("deleted_at IS NULL"),
)

webhook_messages = Table(
    "webhook_messages",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("cause_source", Text),
    Column("cause_id", Text),
    Column("traceparent", Text),
    Column("created_at", _INSTANT, nullable=False),
)

Index(
    "webhook_messages_by_identity",
    webhook_messages.c.organization_id,
    webhook_messages.c.event_id,
    webhook_messages.c.source,
    unique=True,
)
Index(
    "webhook_messages_by_cause",
    webhook_messages.c.organization_id,
    webhook_messages.c.cause_id,
    postgresql_where=text("cause_id IS NOT NULL"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("endpoint_id", Text, nullable=False),
    Column("message_id", Uuid, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("due_at", _INSTANT, nullable=False),
    Column("fencing", BigInteger, nullable=False),
    Column("lease_owner", Uuid),
    Column("last_status", SmallInteger),
    Column("last_error", Text),
    Column("created_at", _INSTANT, nullable=False),
    Column("finished_at", _INSTANT),
)
"""A row is leased while it is pending and its `lease_owner` (a webhook_dispatchers row) is alive.

Leasing touches no indexed column, so that it stays a HOT update.
"""

Index(
    "webhook_deliveries_once",
    webhook_deliveries.c.message_id,
    webhook_deliveries.c.endpoint_id,
    unique=True,
)
Index(
    "webhook_deliveries_due",
    webhook_deliveries.c.endpoint_id,
    webhook_deliveries.c.due_at,
    webhook_deliveries.c.id,
    postgresql_where=text("state = 'pending'"),
)
Index("webhook_deliveries_by_organization", webhook_deliveries.c.organization_id, webhook_deliveries.c.id)
Index("webhook_deliveries_by_endpoint", webhook_deliveries.c.endpoint_id, webhook_deliveries.c.id)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("delivery_id", Uuid, primary_key=True),
    Column("number", SmallInteger, primary_key=True),
    Column("at", _INSTANT, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", SmallInteger),
    Column("error", Text),
    Column("headers", JSONB),
    Column("body", Text),
)
"""Append-only: a trigger refuses updates; old rows are removed by age."""

webhook_dispatchers = Table(
    "webhook_dispatchers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("heartbeat_at", _INSTANT, nullable=False),
)
