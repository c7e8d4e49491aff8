"""Reads usage and what it cost: series, totals, rankings. Each identity counts once in every one of them.

Usage and charges are summed apart and then added up by group, so that neither multiplies the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

from contracts.events.usage import TOKEN_CLASSES
from contracts.rules.windows import Ruler
from infra.clickhouse.client import ClickHouse, Row

Dimension = Literal["service", "provider", "model", "operation", "user", "team", "api_key", "status"]
Measure = Literal["credits_micros", "total_tokens", "events"]

DIMENSIONS: Final[tuple[Dimension, ...]] = (
    "service",
    "provider",
    "model",
    "operation",
    "user",
    "team",
    "api_key",
    "status",
)
_NOT_IN_CHARGES: Final[frozenset[Dimension]] = frozenset(("operation", "api_key", "status"))
"""What the ledger does not repeat; looked up in the usage that was charged."""


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """What to read: one organization's events with start <= time < end.

    `filters` keep events whose dimension has one of the values; "" stands for an event that does not tell it.
    `windows` cut the time; None: all of it is one.
    """

    organization_id: str
    start: datetime
    end: datetime
    group_by: tuple[Dimension, ...] = ()
    filters: Mapping[Dimension, Sequence[str]] = field(default_factory=dict)
    windows: Ruler | None = None


async def series(clickhouse: ClickHouse, query: UsageQuery, *, limit: int) -> list[Row]:
    """One row per window and group that has any event or charge, in order; at most `limit`.

    Columns: `window` (seconds since 1970; 0 without windows), the dimensions, `events`, the token classes,
    `total_tokens`, `quantities` (Decimal by unit), `credits_micros`.
    """
    return await _read(clickhouse, query, ", ".join(("window", *query.group_by)), limit)


async def totals(clickhouse: ClickHouse, query: UsageQuery) -> Row:
    """The sums over all of it, as `series` has them, and `first_at` and `last_at`, None when there is nothing."""
    rows = await _read(clickhouse, replace(query, group_by=(), windows=None), "window", 1)
    return rows[0] if rows else dict.fromkeys(_SUMS, 0) | {"quantities": {}, "first_at": None, "last_at": None}


async def top(clickhouse: ClickHouse, query: UsageQuery, dimension: Dimension, by: Measure, *, limit: int) -> list[Row]:
    """The `limit` values of the dimension with the most of a measure, the most first; ties by name."""
    return await _read(
        clickhouse, replace(query, group_by=(dimension,), windows=None), f"{by} DESC, {dimension}", limit
    )


_SUMS: Final = ("events", *TOKEN_CLASSES, "total_tokens", "credits_micros")


async def _read(clickhouse: ClickHouse, query: UsageQuery, order: str, limit: int) -> list[Row]:
    rows = await clickhouse.query(_sql(query, order), _params(query) | {"limit": limit})
    for row in rows:
        row["quantities"] = {unit: amount for unit, amount in sorted(row["quantities"].items()) if unit}
    return rows


def _sql(query: UsageQuery, order: str) -> str:
    groups = ", ".join(("window", *query.group_by))
    sums = ", ".join(f"sum({name}) AS {name}" for name in _SUMS)
    return f"""
        SELECT {groups}, {sums}, sumMap(map(toString(unit), quantity)) AS quantities,
               min(first) AS first_at, max(last) AS last_at
        FROM ({_usage(query)} UNION ALL {_charges(query)})
        GROUP BY {groups}
        ORDER BY {order}
        LIMIT {{limit:UInt32}}
    """  # noqa: S608 - names come from closed tables, values are bound


def _usage(query: UsageQuery) -> str:
    groups = ", ".join((f"{_window(query)} AS window", *(f"f.{name} AS {name}" for name in query.group_by)))
    tokens = ", ".join(f"sum(f.{name}) AS {name}" for name in (*TOKEN_CLASSES, "total_tokens"))
    return f"""
        SELECT {groups}, toString(f.unit) AS unit, sum(f.quantity) AS quantity, count() AS events, {tokens},
               toInt64(0) AS credits_micros, min(f.event_time) AS first, max(f.event_time) AS last
        FROM usage_facts AS f FINAL
        WHERE {_where(query, query.filters)}
        GROUP BY {", ".join(("window", *query.group_by, "unit"))}
    """  # noqa: S608


def _charges(query: UsageQuery) -> str:
    groups = ", ".join((f"{_window(query)} AS window", *(f"f.{name} AS {name}" for name in query.group_by)))
    nothing = ", ".join(f"toUInt64(0) AS {name}" for name in ("events", *TOKEN_CLASSES, "total_tokens"))
    return f"""
        SELECT {groups}, '' AS unit, toDecimal128(0, 6) AS quantity, {nothing}, sum(f.amount_micros) AS credits_micros,
               NULL AS first, NULL AS last
        FROM {_charged(query)}
        WHERE {_where(query, query.filters)}
        GROUP BY {", ".join(("window", *query.group_by))}
    """  # noqa: S608


def _charged(query: UsageQuery) -> str:
    """The charges, with what only their usage tells where that is asked for; a charge finds one usage at most."""
    if _NOT_IN_CHARGES.isdisjoint((*query.group_by, *query.filters)):
        return "charge_facts AS f FINAL"
    wanted = ", ".join(sorted(_NOT_IN_CHARGES))
    return f"""(
        SELECT c.organization_id AS organization_id, c.event_time AS event_time, c.amount_micros AS amount_micros,
               c.service AS service, c.provider AS provider, c.model AS model, c.user AS user, c.team AS team, {wanted}
        FROM (SELECT * FROM charge_facts AS f FINAL WHERE {_where(query, {})}) AS c
        ANY LEFT JOIN (SELECT source, event_id, {wanted} FROM usage_facts AS f FINAL WHERE {_where(query, {})}) AS u
        ON c.source = u.source AND c.event_id = u.event_id
    ) AS f"""  # noqa: S608


def _window(query: UsageQuery) -> str:
    """The start of the row's window in seconds, by the ruler."""
    windows = query.windows
    if windows is None:
        return "toInt64(0)"
    second = "intDiv(toUnixTimestamp64Micro(f.event_time), 1000000)"
    base = f"roundDown({second}, {{bases:Array(Int64)}})"
    even = f"{base} + intDiv({second} - {base}, {{step:Int64}}) * {{step:Int64}}"
    return f"if({base} IN {{single:Array(Int64)}}, {base}, {even})" if windows.single else even


def _where(query: UsageQuery, filters: Mapping[Dimension, Sequence[str]]) -> str:
    conditions = [
        "f.organization_id = {organization_id:String}",
        "f.event_time >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')",
        "f.event_time < fromUnixTimestamp64Micro({end:Int64}, 'UTC')",
        *(f"f.{name} IN {{only_{name}:Array(String)}}" for name in filters),
    ]
    return " AND ".join(conditions)


def _params(query: UsageQuery) -> dict[str, Any]:
    unknown = set(query.group_by) | set(query.filters)
    if not unknown <= set(DIMENSIONS):
        raise ValueError(f"unknown dimensions {sorted(unknown - set(DIMENSIONS))}")
    params: dict[str, Any] = {
        "organization_id": query.organization_id,
        "start": round(query.start.timestamp() * 1e6),
        "end": round(query.end.timestamp() * 1e6),
        **{f"only_{name}": list(values) for name, values in query.filters.items()},
    }
    if query.windows is not None:
        params |= {"bases": list(query.windows.bases), "step": query.windows.step_s}
        params |= {"single": list(query.windows.single)} if query.windows.single else {}
    return params
