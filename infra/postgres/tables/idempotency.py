"""First answers to requests with an Idempotency-Key."""

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP

from infra.postgres.tables import metadata

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("started_at", TIMESTAMP(timezone=True), nullable=False),
    Column("status", Integer),
    Column("content_type", Text),
    Column("body", LargeBinary),
)

Index("idempotency_keys_by_start", idempotency_keys.c.started_at)
