"""Usage analytics of one organization."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from api.analytics.freshness import Freshness, freshness
from api.analytics.schemas import PeriodIn, Summary, SummaryIn, Sums, TopModel, UsageIn, UsagePoint
from api.deps import Deps
from contracts.errors import Invalid, Problem
from contracts.rules.windows import MAX_SPAN, count_at_most, ruler, zone_of
from infra.clickhouse.usage import DIMENSIONS, UsageQuery, series, top, totals

DEFAULT_SPAN: Final = timedelta(days=30)
MAX_POINTS: Final = 10_000
OLDEST: Final = datetime(1970, 1, 2, tzinfo=UTC)


async def usage(deps: Deps, organization: str, wanted: UsageIn) -> tuple[list[UsagePoint], Freshness]:
    """The points in order of window and group, those without events left out, and how fresh they are.

    Raises: Invalid (period, zone, more than 10,000 windows or points), AnalyticsUnavailable.
    """
    start, end = _period(wanted, deps.clock.now())
    zone = zone_of(wanted.zone)
    windows = None
    if wanted.window != "all":
        if count_at_most(start, end, wanted.window) > MAX_POINTS + 2:
            raise _invalid(
                "/query/window", "too_many_windows", f"makes more than {MAX_POINTS} windows; use a longer one"
            )
        windows = ruler(start, end, wanted.window, zone)
    group_by = tuple(dict.fromkeys(wanted.group_by))
    fresh = await freshness(deps, organization)
    query = UsageQuery(organization, start, end, group_by, _filters(wanted), windows)
    rows = await series(deps.clickhouse, query, limit=MAX_POINTS + 1)
    if len(rows) > MAX_POINTS:
        raise _invalid("/query/group_by", "too_many_points", f"makes more than {MAX_POINTS} points; ask for less")
    first = start.astimezone(zone)
    return [_point(row, group_by, zone, first if windows is None else None) for row in rows], fresh


async def summary(deps: Deps, organization: str, wanted: SummaryIn) -> tuple[Summary, Freshness]:
    """Totals and top models, and how fresh they are. Raises: Invalid, AnalyticsUnavailable."""
    start, end = _period(wanted, deps.clock.now())
    query = UsageQuery(organization, start, end, filters=_filters(wanted))
    fresh = await freshness(deps, organization)
    total, models = await asyncio.gather(
        totals(deps.clickhouse, query), top(deps.clickhouse, query, "model", wanted.by, limit=wanted.limit)
    )
    found = Summary(
        totals=Sums.model_validate(total),
        top_models=[TopModel.model_validate(row | {"model": row["model"] or None}) for row in models],
        first_event_at=total["first_at"],
        last_event_at=total["last_at"],
    )
    return found, fresh


def _period(wanted: PeriodIn, now: datetime) -> tuple[datetime, datetime]:
    end = wanted.end or now
    start = wanted.start or max(end - DEFAULT_SPAN, OLDEST)
    if not start < end:
        raise _invalid("/query/from", "period", "is not before `to`")
    if start < OLDEST or end - start > MAX_SPAN:
        raise _invalid("/query/from", "period", f"is before 1970, or more than {MAX_SPAN.days} days before `to`")
    return start, end


def _filters(wanted: PeriodIn) -> dict[Any, list[str]]:
    return {name: values for name in DIMENSIONS if (values := getattr(wanted, name))}


def _point(row: dict[str, Any], group_by: tuple[str, ...], zone: ZoneInfo, start: datetime | None) -> UsagePoint:
    at = start or datetime.fromtimestamp(row["window"], zone)
    return UsagePoint.model_validate(row | {"start": at, "group": {name: row[name] or None for name in group_by}})


def _invalid(pointer: str, code: str, message: str) -> Invalid:
    return Invalid(f"`{pointer.removeprefix('/query/')}` {message}.", problems=(Problem(pointer, code, message),))
