"""What has arrived of one source of usage: counts, sums and latencies."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from infra.postgres.database import Tx, raw


class Charged(NamedTuple):
    """Charges of one source: events, micro-credits and the tokens that the inbox remembers."""

    events: int
    micros: int
    input_tokens: int
    output_tokens: int


class Percentiles(NamedTuple):
    """Milliseconds between acceptance and effect; 0 where there is none."""

    p50: float
    p99: float


_CHARGED: Final = """
    SELECT count(*) AS events, coalesce(sum(t.amount_micros), 0)::bigint AS micros,
           coalesce(sum(i.input_tokens), 0)::bigint AS input_tokens,
           coalesce(sum(i.output_tokens), 0)::bigint AS output_tokens
    FROM inbox i JOIN ledger_transactions t ON t.id = i.transaction_id AND t.kind = 'charge'
    WHERE i.organization_id = ANY($1::text[]) AND i.source = $2
"""

_CHARGED_MS: Final = """
    SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (
        ORDER BY extract(epoch FROM t.booked_at - t.accepted_at)::float8 * 1000) AS ms
    FROM ledger_transactions t WHERE t.organization_id = ANY($1::text[]) AND t.event_source = $2
"""

_DELIVERED_MS: Final = """
    SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (
        ORDER BY extract(epoch FROM d.finished_at - i.accepted_at)::float8 * 1000) AS ms
    FROM webhook_messages m
    JOIN webhook_deliveries d ON d.message_id = m.id AND d.state = 'succeeded'
    JOIN inbox i ON i.organization_id = m.organization_id AND i.source = m.cause_source AND i.event_id = m.cause_id
    WHERE m.organization_id = ANY($1::text[]) AND m.cause_source = $2
"""

_DELIVERED: Final = """
    SELECT count(*) FROM webhook_messages m
    JOIN webhook_deliveries d ON d.message_id = m.id AND d.state = 'succeeded'
    WHERE m.organization_id = ANY($1::text[]) AND m.cause_source = $2
"""


async def charged(tx: Tx, organizations: Sequence[str], source: str) -> Charged:
    """What the ledger has charged for the usage events of a source."""
    row = await (await raw(tx)).fetchrow(_CHARGED, list(organizations), source)
    return Charged(*row)


async def delivered(tx: Tx, organizations: Sequence[str], source: str) -> int:
    """Deliveries that succeeded and whose cause is an event of the source."""
    return int(await (await raw(tx)).fetchval(_DELIVERED, list(organizations), source))


async def charged_ms(tx: Tx, organizations: Sequence[str], source: str) -> Percentiles:
    """From acceptance to the booking."""
    return await _percentiles(tx, _CHARGED_MS, organizations, source)


async def delivered_ms(tx: Tx, organizations: Sequence[str], source: str) -> Percentiles:
    """From acceptance of the usage to the receiver's answer."""
    return await _percentiles(tx, _DELIVERED_MS, organizations, source)


async def _percentiles(tx: Tx, sql: str, organizations: Sequence[str], source: str) -> Percentiles:
    found = await (await raw(tx)).fetchval(sql, list(organizations), source)
    return Percentiles(*(round(value, 1) for value in found)) if found else Percentiles(0.0, 0.0)
