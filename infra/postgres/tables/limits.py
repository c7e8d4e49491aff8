"""How much of its quota each subject has used in its window. Unlogged: a crash forgives everybody."""

from sqlalchemy import BigInteger, Column, Table, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP

from infra.postgres.tables import metadata

rate_limits = Table(
    "rate_limits",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("began_at", TIMESTAMP(timezone=True), nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("granted", BigInteger, nullable=False),
    prefixes=["UNLOGGED"],
)
"""`granted`: what the last request for it was given."""
