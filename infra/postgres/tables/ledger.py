"""The ledger: heads, accounts, transactions, postings, grants, inbox, progress and the price book."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, TIMESTAMP, UUID

from infra.postgres.tables import metadata

ledger_heads = Table(
    "ledger_heads",
    metadata,
    Column("organization_id", Text(collation="C"), primary_key=True),
    Column("seq", BigInteger, nullable=False, server_default="0"),
    Column("hash", LargeBinary),
    Column("booked_at", TIMESTAMP(timezone=True)),
    Column("low_threshold_micros", BigInteger, nullable=False, server_default="10000000"),
    Column("level", Text, nullable=False, server_default="ok"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("organization_id", Text(collation="C"), primary_key=True),
    Column("kind", Text(collation="C"), primary_key=True),
    Column("balance_micros", BigInteger, nullable=False),
)

ledger_transactions = Table(
    "ledger_transactions",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("organization_id", Text(collation="C"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("amount_micros", BigInteger, nullable=False),
    Column("event_source", Text),
    Column("event_id", Text),
    Column("used_at", TIMESTAMP(timezone=True), nullable=False),
    Column("accepted_at", TIMESTAMP(timezone=True), nullable=False),
    Column("booked_at", TIMESTAMP(timezone=True), nullable=False),
    Column("price_version", Integer),
    Column("detail", JSON, nullable=False),
    Column("available_after_micros", BigInteger, nullable=False),
    Column("debt_after_micros", BigInteger, nullable=False),
    Column("reverses", UUID),
    Column("hash", LargeBinary, nullable=False),
    UniqueConstraint("organization_id", "seq"),
)

Index(
    "ledger_transactions_reverse_once",
    ledger_transactions.c.reverses,
    unique=True,
    postgresql_where=text("reverses IS NOT NULL"),
)

postings = Table(
    "postings",
    metadata,
    Column("transaction_id", UUID, primary_key=True),
    Column("line", SmallInteger, primary_key=True),
    Column("organization_id", Text(collation="C"), nullable=False),
    Column("account", Text, nullable=False),
    Column("grant_id", UUID),
    Column("asset", Text, nullable=False, server_default="credit"),
    Column("amount_micros", BigInteger, nullable=False),
)

grants = Table(
    "grants",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("organization_id", Text(collation="C"), nullable=False),
    Column("source", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("effective_at", TIMESTAMP(timezone=True), nullable=False),
    Column("expires_at", TIMESTAMP(timezone=True)),
    Column("scope", JSON, nullable=False),
    Column("cost_basis_nanos", BigInteger, nullable=False),
    Column("amount_micros", BigInteger, nullable=False),
    Column("remaining_micros", BigInteger, nullable=False),
    Column("event_source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("reason", Text),
    Column("granted_at", TIMESTAMP(timezone=True), nullable=False),
    Column("created_at", TIMESTAMP(timezone=True), nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("settled", Boolean, nullable=False),
)

# The predicates name columns that change once in a lot's life; remaining_micros is in no index, so that
# spending stays a heap-only update.
Index("grants_open", grants.c.organization_id, postgresql_where=text("is_open"))
Index("grants_to_expire", grants.c.expires_at, postgresql_where=text("is_open AND expires_at IS NOT NULL"))
Index("grants_to_activate", grants.c.effective_at, postgresql_where=text("is_open AND NOT settled"))

inbox = Table(
    "inbox",
    metadata,
    Column("organization_id", Text(collation="C"), primary_key=True),
    Column("event_id", Text(collation="C"), primary_key=True),
    Column("source", Text(collation="C"), primary_key=True),
    Column("body_hash", LargeBinary, nullable=False),
    Column("family", Text, nullable=False),
    Column("topic", Text(collation="C"), nullable=False),
    Column("partition_no", Integer, nullable=False),
    Column("offset_no", BigInteger, nullable=False),
    Column("accepted_at", TIMESTAMP(timezone=True), nullable=False),
    Column("transaction_id", UUID),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("total_tokens", BigInteger, nullable=False),
)

Index("inbox_by_offset", inbox.c.topic, inbox.c.partition_no, inbox.c.offset_no)

ledger_progress = Table(
    "ledger_progress",
    metadata,
    Column("topic", Text(collation="C"), primary_key=True),
    Column("partition_no", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
    Column("accepted_at", TIMESTAMP(timezone=True), nullable=False),
)

price_books = Table(
    "price_books",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("effective_from", TIMESTAMP(timezone=True), nullable=False),
    Column("created_at", TIMESTAMP(timezone=True), nullable=False),
)

prices = Table(
    "prices",
    metadata,
    Column("version", Integer, ForeignKey("price_books.version"), primary_key=True),
    Column("line", SmallInteger, primary_key=True),
    Column("item", Text, nullable=False),
    Column("price_micros", BigInteger, nullable=False),
    Column("per", BigInteger, nullable=False),
    Column("model", Text),
    Column("service", Text),
    Column("provider", Text),
    Column("organization_id", Text),
    Column("is_default", Boolean, nullable=False),
)
