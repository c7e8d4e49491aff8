"""What a batch reads of the ledger, after it has locked the organizations that it touches."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import text

from contracts.rules.credits import Charged
from contracts.rules.crossings import Level
from contracts.rules.grants import EVERYTHING, Grant, Scope
from infra.postgres.database import Tx, raw

Identity = tuple[str, str, str]
"""Organization, source, id of an event."""


class Head(NamedTuple):
    """The end of an organization's chain: `seq` and `hash` of its last transaction (0 and None before the first)."""

    seq: int
    hash: bytes | None
    booked_at: datetime | None
    low_threshold_micros: int
    level: Level


class Remembered(NamedTuple):
    """What the inbox knows of an identity."""

    body_hash: bytes
    transaction_id: UUID | None


_LOCK_HEADS = text("""
    INSERT INTO ledger_heads AS head (organization_id)
    SELECT id FROM unnest(CAST(:organizations AS text[])) AS id ORDER BY id COLLATE "C"
    ON CONFLICT (organization_id) DO UPDATE SET seq = head.seq
    RETURNING organization_id, seq, hash, booked_at, low_threshold_micros, level
""")


async def lock_heads(tx: Tx, organizations: Sequence[str]) -> dict[str, Head]:
    """The heads by organization, made where missing, locked until the transaction ends.

    The rows are taken in the order of their keys, so that transactions queue and never deadlock. Call it before any
    other function of this module: what is read afterwards is as the last holder of the lock left it.
    """
    rows = await tx.execute(_LOCK_HEADS, {"organizations": sorted(organizations)})
    return {
        row.organization_id: Head(row.seq, row.hash, row.booked_at, row.low_threshold_micros, Level(row.level))
        for row in rows
    }


async def remembered(tx: Tx, identities: Sequence[Identity]) -> dict[Identity, Remembered]:
    """What the inbox holds of these identities."""
    # As JSON: asyncpg asks of every item of an array, twice, whether it is an array (4 us an identity).
    rows = await (await raw(tx)).fetch(
        """
        SELECT organization_id, source, event_id, body_hash, transaction_id
        FROM ROWS FROM (
            json_array_elements_text($1::text::json),
            json_array_elements_text($2::text::json),
            json_array_elements_text($3::text::json)
        ) AS wanted (organization_id, source, event_id)
        JOIN inbox USING (organization_id, source, event_id)
        """,
        *[orjson.dumps(column).decode() for column in zip(*identities, strict=True)],
    )
    return {(row[0], row[1], row[2]): Remembered(row[3], row[4]) for row in rows}


async def open_grants(tx: Tx, organizations: Sequence[str]) -> dict[str, list[Grant]]:
    """The lots that have something left, by organization."""
    rows = await (await raw(tx)).fetch(
        """
        SELECT organization_id, id, priority, effective_at, expires_at, granted_at, remaining_micros, scope, settled
        FROM grants WHERE is_open AND organization_id = ANY($1::text[])
        """,
        organizations,
    )
    found: dict[str, list[Grant]] = {}
    for row in rows:
        grant = Grant(row[1], row[2], row[3], row[4], row[5], row[6], _scope(row[7]), row[8])
        found.setdefault(row[0], []).append(grant)
    return found


def _scope(parts: dict[str, list[str]]) -> Scope:
    scope = Scope(tuple(parts["services"]), tuple(parts["models"]), tuple(parts["teams"]))
    return EVERYTHING if scope == EVERYTHING else scope


async def balances(tx: Tx, organizations: Sequence[str]) -> dict[str, dict[str, int]]:
    """The balances by organization and account; accounts that were never used are left out."""
    rows = await (await raw(tx)).fetch(
        "SELECT organization_id, kind, balance_micros FROM accounts WHERE organization_id = ANY($1::text[])",
        organizations,
    )
    found: dict[str, dict[str, int]] = {}
    for organization, kind, balance in rows:
        found.setdefault(organization, {})[kind] = balance
    return found


async def charges_of(tx: Tx, identities: Sequence[Identity]) -> dict[Identity, Charged]:
    """The charges that were booked for these usage events, and whether they were reversed."""
    organizations, sources, ids = zip(*identities, strict=True)
    rows = await (await raw(tx)).fetch(
        """
        SELECT wanted.organization_id, wanted.source, wanted.event_id, t.id, t.amount_micros,
               EXISTS (SELECT FROM ledger_transactions AS r WHERE r.reverses = t.id)
        FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (organization_id, source, event_id)
        JOIN inbox USING (organization_id, source, event_id)
        JOIN ledger_transactions AS t ON t.id = inbox.transaction_id
        WHERE t.kind = 'charge'
        """,
        organizations,
        sources,
        ids,
    )
    return {(row[0], row[1], row[2]): Charged(row[3], row[4], row[5]) for row in rows}
