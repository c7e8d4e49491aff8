"""The ledger's own laws, as differences."""

from datetime import datetime

from infra.ops.differences import Difference
from infra.postgres import ledger_proof, ledger_proof_since
from infra.postgres.database import Database


async def broken_laws(database: Database, since_proof: datetime | None = None) -> list[Difference]:
    """Postings sum to zero, cached balances are sums of postings, remainders are balances ... Raises: Unavailable.

    `since_proof`, the time now: only reads transactions that came after the last clean check of this kind.
    """
    async with database.transaction() as tx:
        if since_proof is None:
            breaches = await ledger_proof.breaches(tx)
        else:
            breaches = await ledger_proof_since.breaches_since(tx, since_proof)
    return [
        Difference(
            "ledger_law",
            f"{breach.law} {breach.id}",
            f"should be {breach.expected_micros} and is {breach.found_micros}",
            breach.organization,
        )
        for breach in breaches
    ]
