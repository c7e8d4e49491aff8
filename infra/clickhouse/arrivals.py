"""What analytics has of one source of usage: counts, sums and latency."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from infra.clickhouse.client import ClickHouse


class Analysed(NamedTuple):
    """Facts of one source; `micros` are the charges for them; times in milliseconds from acceptance to the insert."""

    events: int
    input_tokens: int
    output_tokens: int
    micros: int
    p50_ms: float
    p99_ms: float


_FACTS: Final = """
    SELECT toInt64(count()) AS events, toInt64(sum(input_tokens)) AS input_tokens,
           toInt64(sum(output_tokens)) AS output_tokens,
           quantiles(0.5, 0.99)(toFloat64(inserted_at) - toFloat64(accepted_at)) AS seconds
    FROM usage WHERE organization_id IN {organizations:Array(String)} AND source = {source:String}
"""
_CHARGES: Final = """
    SELECT toInt64(sum(amount_micros)) AS micros FROM charges
    WHERE organization_id IN {organizations:Array(String)} AND source = {source:String}
"""
_TOP: Final = """
    SELECT model, sum(amount_micros) / 1000000 AS credits FROM charges
    WHERE organization_id IN {organizations:Array(String)} AND source = {source:String}
    GROUP BY model ORDER BY credits DESC, model LIMIT 5
"""


async def analysed(clickhouse: ClickHouse, organizations: Sequence[str], source: str) -> Analysed:
    """Facts and charges of the source, each identity once."""
    params = {"organizations": list(organizations), "source": source}
    (facts,) = await clickhouse.query(_FACTS, params)
    (charges,) = await clickhouse.query(_CHARGES, params)
    p50, p99 = (round(seconds * 1000, 1) if facts["events"] else 0.0 for seconds in facts["seconds"])
    return Analysed(facts["events"], facts["input_tokens"], facts["output_tokens"], charges["micros"], p50, p99)


async def top_models(clickhouse: ClickHouse, organizations: Sequence[str], source: str) -> list[tuple[str, float]]:
    """The five models that cost most, with the credits."""
    rows = await clickhouse.query(_TOP, {"organizations": list(organizations), "source": source})
    return [(row["model"], row["credits"]) for row in rows]
