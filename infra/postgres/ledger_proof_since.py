"""The ledger's laws over what was booked since they last held: the cost follows what came, not what there is.

A clean check leaves a proof: the number up to which each organization's transactions were read, its balances and the
remainders of its grants then. The next one reads later transactions only and adds their postings to the proof. What
stands below the proof is not read again: `ledger_proof.breaches` does that. Accounts, grants and heads are all looked
at each time.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import text

from infra.postgres.database import Tx
from infra.postgres.ledger_proof import LAWS, TIMEOUT, Breach, breaking

# Statistics say nothing of temporary tables and little of growing ones; what is new is found by its key.
_BY_KEY: Final = "SET LOCAL enable_seqscan = off", "SET LOCAL enable_hashjoin = off", "SET LOCAL enable_mergejoin = off"
_AS_EVER: Final = "SET LOCAL enable_seqscan = on", "SET LOCAL enable_hashjoin = on", "SET LOCAL enable_mergejoin = on"

_NEW_TRANSACTIONS: Final = """
    CREATE TEMPORARY TABLE new_transactions ON COMMIT DROP AS
    SELECT t.id, t.organization_id, t.seq
    FROM ledger_heads AS h LEFT JOIN ledger_proofs AS p USING (organization_id)
    CROSS JOIN LATERAL (
        SELECT id, organization_id, seq FROM ledger_transactions
        WHERE organization_id = h.organization_id AND seq > coalesce(p.seq, 0)
    ) AS t
"""
_NEW_POSTINGS: Final = """
    CREATE TEMPORARY TABLE new_postings ON COMMIT DROP AS
    SELECT p.transaction_id, p.organization_id, p.account, p.grant_id, p.asset, p.amount_micros
    FROM new_transactions AS t JOIN postings AS p ON p.transaction_id = t.id
"""

LAWS_SINCE: Final = {
    "postings_sum_to_zero": """
        SELECT min(organization_id), transaction_id::text, 0, sum(amount_micros)
        FROM new_postings GROUP BY transaction_id, asset HAVING sum(amount_micros) <> 0 OR count(*) < 2
    """,
    "transaction_has_postings": """
        SELECT organization_id, id::text, 2, 0 FROM new_transactions AS t
        WHERE NOT EXISTS (SELECT FROM new_postings WHERE transaction_id = t.id)
    """,
    "balance_is_sum_of_postings": """
        SELECT organization_id, kind, coalesce(b.micros, 0) + coalesce(n.micros, 0), coalesce(a.balance_micros, 0)
        FROM accounts AS a FULL JOIN ledger_proof_balances AS b USING (organization_id, kind) FULL JOIN (
            SELECT organization_id, account COLLATE "C" AS kind, sum(amount_micros) AS micros
            FROM new_postings GROUP BY 1, 2
        ) AS n USING (organization_id, kind)
        WHERE coalesce(b.micros, 0) + coalesce(n.micros, 0) <> coalesce(a.balance_micros, 0)
    """,
    "remaining_is_sum_of_postings": """
        SELECT coalesce(g.organization_id, b.organization_id, n.organization_id), grant_id::text,
               coalesce(b.micros, 0) + coalesce(n.micros, 0), coalesce(g.remaining_micros, 0)
        FROM (SELECT id AS grant_id, organization_id, remaining_micros FROM grants) AS g
        FULL JOIN ledger_proof_grants AS b USING (grant_id) FULL JOIN (
            SELECT min(organization_id) AS organization_id, grant_id, sum(amount_micros) AS micros
            FROM new_postings WHERE account = 'wallet' AND grant_id IS NOT NULL GROUP BY grant_id
        ) AS n USING (grant_id)
        WHERE coalesce(b.micros, 0) + coalesce(n.micros, 0) <> coalesce(g.remaining_micros, 0)
    """,
    "wallet_is_sum_of_remaining": LAWS["wallet_is_sum_of_remaining"],
    "numbers_have_no_gaps": """
        SELECT organization_id, h.seq::text, coalesce(h.seq, 0), coalesce(p.seq, 0) + coalesce(n.transactions, 0)
        FROM ledger_heads AS h FULL JOIN ledger_proofs AS p USING (organization_id) FULL JOIN (
            SELECT organization_id, count(*) AS transactions, max(seq) AS last FROM new_transactions GROUP BY 1
        ) AS n USING (organization_id)
        WHERE coalesce(h.seq, 0) <> coalesce(p.seq, 0) + coalesce(n.transactions, 0) OR n.last <> h.seq
    """,
}
"""As `ledger_proof.LAWS`, for what is new."""

_REMEMBER: Final = (
    """
    INSERT INTO ledger_proofs (organization_id, seq, proved_at)
    SELECT organization_id, h.seq, :now FROM ledger_heads AS h LEFT JOIN ledger_proofs AS p USING (organization_id)
    WHERE p.seq IS DISTINCT FROM h.seq
    ON CONFLICT (organization_id) DO UPDATE SET seq = excluded.seq, proved_at = excluded.proved_at
    """,
    """
    INSERT INTO ledger_proof_balances (organization_id, kind, micros)
    SELECT organization_id, kind, a.balance_micros
    FROM accounts AS a LEFT JOIN ledger_proof_balances AS b USING (organization_id, kind)
    WHERE b.micros IS DISTINCT FROM a.balance_micros
    ON CONFLICT (organization_id, kind) DO UPDATE SET micros = excluded.micros
    """,
    """
    INSERT INTO ledger_proof_grants (grant_id, organization_id, micros)
    SELECT g.id, g.organization_id, g.remaining_micros FROM grants AS g LEFT JOIN ledger_proof_grants AS b
        ON b.grant_id = g.id
    WHERE b.micros IS DISTINCT FROM g.remaining_micros
    ON CONFLICT (grant_id) DO UPDATE SET micros = excluded.micros
    """,
)


async def breaches_since(tx: Tx, now: datetime) -> list[Breach]:
    """The rows that break a law, of what came since the last clean check; when there are none, leaves the proof.

    Must be the transaction's first statement: everything is looked at in one snapshot. Two checks at once: the
    later one fails (DatabaseUnavailable, "try again") and has changed nothing.
    """
    await tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    await tx.execute(text(TIMEOUT))
    for statement in (*_BY_KEY, _NEW_TRANSACTIONS, _NEW_POSTINGS, *_AS_EVER):
        await tx.execute(text(statement))
    found = await breaking(tx, LAWS_SINCE)
    if not found:
        for statement in _REMEMBER:
            await tx.execute(text(statement), {"now": now} if ":now" in statement else {})
    return found
