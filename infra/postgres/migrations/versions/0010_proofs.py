"""What the ledger held when its laws were last found to hold: the next check begins there."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ledger_proofs (
            organization_id text COLLATE "C" PRIMARY KEY,
            seq bigint NOT NULL,
            proved_at timestamptz NOT NULL
        )
    """)
    op.execute("""
        CREATE TABLE ledger_proof_balances (
            organization_id text COLLATE "C",
            kind text COLLATE "C",
            micros bigint NOT NULL,
            PRIMARY KEY (organization_id, kind)
        )
    """)
    op.execute("""
        CREATE TABLE ledger_proof_grants (
            grant_id uuid PRIMARY KEY,
            organization_id text COLLATE "C" NOT NULL,
            micros bigint NOT NULL
        )
    """)
