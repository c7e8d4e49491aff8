"""Up to where the log has been compared and found clean."""

from sqlalchemy import BigInteger, Column, Integer, Table, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP

from infra.postgres.tables import metadata

reconcile_marks = Table(
    "reconcile_marks",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition_no", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
    Column("reconciled_at", TIMESTAMP(timezone=True), nullable=False),
)
