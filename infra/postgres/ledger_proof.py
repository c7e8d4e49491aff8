"""Proof of the ledger: the hash chain of an organization, and the laws over all of it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import text

from contracts.rules.chain import ChainRow, Posting, broken_link, first_hash
from infra.postgres.database import Tx, raw

PAGE: Final = 1_000
TIMEOUT: Final = "SET LOCAL statement_timeout = '10min'"


class Verified(NamedTuple):
    """How many transactions fit, and the number of the first that does not (None: all fit)."""

    transactions: int
    broken_seq: int | None


class Breach(NamedTuple):
    """A row that breaks a law: which law, of whom, the row's key, what it should be and what it is."""

    law: str
    organization: str
    id: str
    expected_micros: int
    found_micros: int


LAWS: Final = {
    "postings_sum_to_zero": """
        SELECT min(organization_id), transaction_id::text, 0, sum(amount_micros)
        FROM postings GROUP BY transaction_id, asset HAVING sum(amount_micros) <> 0 OR count(*) < 2
    """,
    "transaction_has_postings": """
        SELECT organization_id, id::text, 2, 0 FROM ledger_transactions AS t
        WHERE NOT EXISTS (SELECT FROM postings WHERE transaction_id = t.id)
    """,
    "balance_is_sum_of_postings": """
        SELECT organization_id, coalesce(a.kind, p.kind), coalesce(p.micros, 0), coalesce(a.balance_micros, 0)
        FROM accounts AS a FULL JOIN (
            SELECT organization_id, account AS kind, sum(amount_micros) AS micros FROM postings GROUP BY 1, 2
        ) AS p USING (organization_id, kind)
        WHERE coalesce(p.micros, 0) <> coalesce(a.balance_micros, 0)
    """,
    "remaining_is_sum_of_postings": """
        SELECT coalesce(g.organization_id, p.organization_id), coalesce(g.id, p.grant_id)::text, coalesce(p.micros, 0),
               coalesce(g.remaining_micros, 0)
        FROM grants AS g FULL JOIN (
            SELECT min(organization_id) AS organization_id, grant_id, sum(amount_micros) AS micros
            FROM postings WHERE account = 'wallet' AND grant_id IS NOT NULL GROUP BY grant_id
        ) AS p ON p.grant_id = g.id
        WHERE coalesce(p.micros, 0) <> coalesce(g.remaining_micros, 0)
    """,
    "wallet_is_sum_of_remaining": """
        SELECT organization_id, 'wallet', coalesce(g.micros, 0), coalesce(a.balance_micros, 0)
        FROM (SELECT organization_id, balance_micros FROM accounts WHERE kind = 'wallet') AS a FULL JOIN (
            SELECT organization_id, sum(remaining_micros) AS micros FROM grants GROUP BY 1
        ) AS g USING (organization_id)
        WHERE coalesce(g.micros, 0) <> coalesce(a.balance_micros, 0)
    """,
    "numbers_have_no_gaps": """
        SELECT organization_id, h.seq::text, h.seq, coalesce(t.transactions, 0)
        FROM ledger_heads AS h FULL JOIN (
            SELECT organization_id, count(*) AS transactions, max(seq) AS last FROM ledger_transactions GROUP BY 1
        ) AS t USING (organization_id)
        WHERE coalesce(h.seq, 0) <> coalesce(t.transactions, 0) OR coalesce(t.last, 0) <> coalesce(h.seq, 0)
    """,
}
"""Each gives the rows that break it: organization, key, what it should be, what it is. One statement, one snapshot."""


async def breaches(tx: Tx) -> list[Breach]:
    """The rows that break a law of the ledger; none when the books balance. Reads all of it."""
    await tx.execute(text(TIMEOUT))
    return await breaking(tx, LAWS)


async def breaking(tx: Tx, laws: Mapping[str, str], limit: int = 100) -> list[Breach]:
    """The rows that break one of these laws, at most `limit` a law."""
    found: list[Breach] = []
    for law, sql in laws.items():
        rows = await tx.execute(text(f"{sql} LIMIT :limit"), {"limit": limit})
        found += [Breach(law, row[0], row[1], int(row[2]), int(row[3])) for row in rows]
    return found


async def verify(tx: Tx, organization: str) -> Verified:
    """Computes the organization's hash chain anew, up to its head as it is now, and compares."""
    row = (
        await tx.execute(
            text("SELECT seq, hash FROM ledger_heads WHERE organization_id = :organization"),
            {"organization": organization},
        )
    ).one_or_none()
    last, last_hash = (row.seq, row.hash) if row else (0, None)
    before, seq = first_hash(organization), 0
    while seq < last:
        page = await _page(tx, organization, seq, min(seq + PAGE, last))
        broken = broken_link(before, seq, page)
        if broken is None and len(page) < min(PAGE, last - seq):
            broken = seq + len(page) + 1
        if broken is not None:
            return Verified(broken - 1, broken)
        seq, before = seq + len(page), page[-1][1]
    return Verified(last, None) if last == 0 or last_hash == before else Verified(last - 1, last)


async def _page(tx: Tx, organization: str, after: int, last: int) -> Sequence[tuple[ChainRow, bytes]]:
    """The transactions after < seq <= last with their postings, and their stored hashes."""
    rows = await (await raw(tx)).fetch(
        """
        SELECT t.id, t.seq, t.kind, t.amount_micros, t.event_source, t.event_id, t.used_at, t.accepted_at, t.booked_at,
               t.price_version, t.detail::text, t.available_after_micros, t.debt_after_micros, t.reverses,
               array_agg(p.account ORDER BY p.line), array_agg(p.grant_id ORDER BY p.line),
               array_agg(p.amount_micros ORDER BY p.line), t.hash
        FROM ledger_transactions AS t LEFT JOIN postings AS p ON p.transaction_id = t.id
        WHERE t.organization_id = $1 AND t.seq > $2 AND t.seq <= $3
        GROUP BY t.id ORDER BY t.seq
        """,
        organization,
        after,
        last,
    )
    return [(_chain_row(row), row[17]) for row in rows]


def _chain_row(row: Sequence[Any]) -> ChainRow:
    postings = tuple(Posting(*line) for line in zip(row[14], row[15], row[16], strict=True) if line[0] is not None)
    return ChainRow._make((*row[:14], postings))
