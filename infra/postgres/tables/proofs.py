"""What the ledger held when its laws were last found to hold."""

from sqlalchemy import BigInteger, Column, Table, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP, UUID

from infra.postgres.tables import metadata

ledger_proofs = Table(
    "ledger_proofs",
    metadata,
    Column("organization_id", Text(collation="C"), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("proved_at", TIMESTAMP(timezone=True), nullable=False),
)

ledger_proof_balances = Table(
    "ledger_proof_balances",
    metadata,
    Column("organization_id", Text(collation="C"), primary_key=True),
    Column("kind", Text(collation="C"), primary_key=True),
    Column("micros", BigInteger, nullable=False),
)

ledger_proof_grants = Table(
    "ledger_proof_grants",
    metadata,
    Column("grant_id", UUID, primary_key=True),
    Column("organization_id", Text(collation="C"), nullable=False),
    Column("micros", BigInteger, nullable=False),
)
