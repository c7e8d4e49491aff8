"""The ledger's own laws, as differences."""

from infra.ops.differences import Difference
from infra.postgres import ledger_proof
from infra.postgres.database import Database


async def broken_laws(database: Database) -> list[Difference]:
    """Postings sum to zero, cached balances are sums of postings, remainders are balances ... Raises: Unavailable."""
    async with database.transaction() as tx:
        breaches = await ledger_proof.breaches(tx)
    return [
        Difference(
            "ledger_law",
            f"{breach.law} {breach.id}",
            f"should be {breach.expected_micros} and is {breach.found_micros}",
            breach.organization,
        )
        for breach in breaches
    ]
