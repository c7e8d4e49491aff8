"""Where the demo's usage has got to."""

from dataclasses import dataclass, field
from typing import Any

from infra.app.compose import Hub
from infra.clickhouse import arrivals as analytics
from infra.http.receiver import Receiver
from infra.ops.seed import ORGANIZATIONS
from infra.postgres import arrivals as ledger

NAMES = [organization for organization, _name in ORGANIZATIONS]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Counts and sums of one run; `delivered` counts what the receiver verified and the hub knows as delivered."""

    charged: int
    charged_micros: int
    input_tokens: int
    output_tokens: int
    analysed: int
    analysed_input_tokens: int
    analysed_output_tokens: int
    analysed_micros: int
    delivered: int
    latency_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    top_models: list[tuple[str, float]] = field(default_factory=list)


async def arrivals_of(hub: Hub, source: str, receiver: Receiver, *, final: bool = False) -> Arrivals:
    """What has arrived of a source; `final` adds latencies and top models. Raises: Unavailable."""
    async with hub.database.transaction() as tx:
        charged = await ledger.charged(tx, NAMES, source)
        delivered = min(len(receiver.ids), await ledger.delivered(tx, NAMES, source))
    analysed = await analytics.analysed(hub.clickhouse, NAMES, source)
    return Arrivals(
        charged=charged.events,
        charged_micros=charged.micros,
        input_tokens=charged.input_tokens,
        output_tokens=charged.output_tokens,
        analysed=analysed.events,
        analysed_input_tokens=analysed.input_tokens,
        analysed_output_tokens=analysed.output_tokens,
        analysed_micros=analysed.micros,
        delivered=delivered,
        latency_ms=await _latencies(hub, source, analysed) if final else {},
        top_models=await analytics.top_models(hub.clickhouse, NAMES, source) if final else [],
    )


async def _latencies(hub: Hub, source: str, analysed: analytics.Analysed) -> dict[str, dict[str, Any]]:
    async with hub.database.transaction() as tx:
        charged = await ledger.charged_ms(tx, NAMES, source)
        delivered = await ledger.delivered_ms(tx, NAMES, source)
    return {
        "charged": charged._asdict(),
        "analysed": {"p50": analysed.p50_ms, "p99": analysed.p99_ms},
        "delivered": delivered._asdict(),
    }
