"""The outbox, the dead letters and the audit trail."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

from infra.postgres.tables import metadata

_INSTANT = TIMESTAMP(timezone=True)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("payloads", ARRAY(LargeBinary), nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("traceparent", Text),
    Column("created_at", _INSTANT, nullable=False, server_default=text("now()")),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("consumer", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("partition_no", Integer, nullable=False),
    Column("offset_no", BigInteger, nullable=False),
    Column("organization_id", Text),
    Column("event_source", Text),
    Column("event_id", Text),
    Column("event_type", Text),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", JSONB, nullable=False),
    Column("parked_at", _INSTANT, nullable=False),
    Column("state", Text, CheckConstraint("state IN ('parked', 'redriven', 'dropped')"), nullable=False),
    Column("resolved_at", _INSTANT),
    Column("resolved_by", Text),
    Column("redrives", Integer, nullable=False, server_default=text("0")),
    UniqueConstraint("consumer", "topic", "partition_no", "offset_no"),
)

Index(
    "dead_letters_parked",
    dead_letters.c.consumer,
    dead_letters.c.reason,
    postgresql_where=dead_letters.c.state == text("'parked'"),
)
Index("dead_letters_by_event", dead_letters.c.organization_id, dead_letters.c.event_id)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("copied_seq", BigInteger, nullable=False, server_default=text("0")),
)
"""`copied_seq`: ClickHouse has the links up to here."""

audit_trail = Table(
    "audit_trail",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("event_source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("body_hash", LargeBinary, nullable=False),
    Column("subject", Text),
    Column("actor", Text),
    Column("address", Text),
    Column("occurred_at", _INSTANT, nullable=False),
    Column("accepted_at", _INSTANT, nullable=False),
    Column("request_id", Text),
    Column("data", JSONB, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    UniqueConstraint("organization_id", "event_source", "event_id"),
)

Index("audit_heads_uncopied", audit_heads.c.organization_id, postgresql_where=text("copied_seq < seq"))
Index("audit_trail_by_actor", audit_trail.c.organization_id, audit_trail.c.actor, audit_trail.c.seq)
