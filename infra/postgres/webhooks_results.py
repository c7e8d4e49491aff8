"""Writes down how attempts went: states, attempts and the health of endpoints, in batches."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from contracts.rules.deliveries import DISABLE_AFTER, DISABLE_FAILURES
from infra.postgres.database import Tx, raw


class Result(NamedTuple):
    """One attempt's end: the row's new state and, if still pending, when it is due again."""

    delivery_id: UUID
    owner: UUID
    fencing: int
    state: str
    due_at: datetime
    at: datetime
    duration_ms: int
    outcome: str
    status: int | None
    error: str | None
    headers: str
    body: str


class Health(NamedTuple):
    """What a batch of results means for one endpoint. `gone` disables it at once."""

    endpoint_id: str
    failed: int
    succeeded: bool
    gone: bool
    breaker_trips: int
    breaker_until: datetime | None


class Change(NamedTuple):
    """An endpoint that was switched off (`reason`) or answers again (no reason)."""

    endpoint_id: str
    organization: str
    url: str
    failures: int
    reason: str | None


_RECORD: Final = """
    WITH results AS (
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::timestamptz[], $6::timestamptz[],
                             $7::int[], $8::text[], $9::smallint[], $10::text[], $11::text[], $12::text[])
            AS r (delivery_id, owner, fencing, state, due_at, at, duration_ms, outcome, status, error, headers, body)
    ), done AS (
        UPDATE webhook_deliveries d
        SET state = r.state, due_at = r.due_at, attempts = d.attempts + 1, lease_owner = NULL, last_status = r.status,
            last_error = r.error, finished_at = CASE WHEN r.state <> 'pending' THEN r.at END
        FROM results r
        WHERE d.id = r.delivery_id AND d.fencing = r.fencing AND d.lease_owner = r.owner AND d.state = 'pending'
        RETURNING d.id, d.attempts, r.at, r.duration_ms, r.outcome, r.status, r.error, r.headers::jsonb, r.body
    )
    INSERT INTO webhook_attempts (delivery_id, number, at, duration_ms, outcome, status, error, headers, body)
    SELECT * FROM done
    RETURNING delivery_id
"""

# Statistics lag behind a growing table; each row is found by its key.
_BY_KEY: Final = "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"


async def record(tx: Tx, results: Sequence[Result]) -> set[UUID]:
    """The deliveries whose lease still held: their state is set and the attempt is stored.

    A result whose lease has passed to somebody else (older fencing token or another owner) changes nothing.
    """
    connection = await raw(tx)
    await connection.execute(_BY_KEY)
    rows = await connection.fetch(_RECORD, *zip(*results, strict=True))
    return {row[0] for row in rows}


_HEALTH: Final = """
    WITH news AS (
        SELECT * FROM unnest($2::text[], $3::int[], $4::bool[], $5::bool[], $6::smallint[], $7::timestamptz[])
            AS n (endpoint_id, failed, succeeded, gone, trips, until)
    ), locked AS (
        SELECT id FROM webhook_endpoints WHERE id = ANY ($2) ORDER BY id FOR NO KEY UPDATE
    ), counted AS (
        SELECT e.id, n.gone, n.trips, n.until,
               CASE WHEN n.succeeded THEN 0 ELSE e.failures + n.failed END AS failures,
               CASE WHEN n.succeeded THEN NULL ELSE coalesce(e.failing_since, $1) END AS failing_since,
               n.succeeded AND e.breaker_trips > 0 AS recovered
        FROM locked JOIN webhook_endpoints e ON e.id = locked.id JOIN news n ON n.endpoint_id = e.id
    ), judged AS (
        SELECT *, CASE WHEN gone THEN 'answered 410 Gone'
                       WHEN failures >= $8 AND failing_since <= $9 THEN 'failed for 5 days' END AS reason
        FROM counted
    )
    UPDATE webhook_endpoints e
    SET failures = j.failures, failing_since = j.failing_since, breaker_trips = j.trips, breaker_until = j.until,
        enabled = e.enabled AND j.reason IS NULL,
        disabled_at = CASE WHEN e.enabled AND j.reason IS NOT NULL THEN $1 ELSE e.disabled_at END,
        disabled_reason = CASE WHEN e.enabled AND j.reason IS NOT NULL THEN j.reason ELSE e.disabled_reason END
    FROM judged j
    WHERE e.id = j.id
    RETURNING e.id, e.organization_id, e.url, e.failures,
              CASE WHEN old.enabled AND NOT new.enabled THEN new.disabled_reason END AS reason, j.recovered
"""


async def update_health(tx: Tx, news: Sequence[Health], now: datetime) -> list[Change]:
    """Counts failures and keeps breakers; gives the endpoints that were switched off or have recovered."""
    connection = await raw(tx)
    ordered = sorted(news, key=lambda health: health.endpoint_id)
    columns = zip(*ordered, strict=True)
    rows = await connection.fetch(_HEALTH, now, *columns, DISABLE_FAILURES, now - DISABLE_AFTER)
    return [Change(*row[:5]) for row in rows if row[4] is not None or row[5]]
