"""What the analytics queries answer, compared with the same sums made in Python."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.analytics.handlers import Sink
from contracts.events.usage import TOKEN_CLASSES
from contracts.rules.windows import Window, ruler
from infra.clickhouse.client import ClickHouse
from infra.clickhouse.usage import UsageQuery, series, top, totals
from tests.conftest import unique
from tests.support.usage import NOON, batch, charge, usage

NASTY = (
    "plain",
    "",
    "it's",
    'say "x"',
    "back\\slash",
    "tab\there",
    "new\nline",
    "{x:String}",
    "%(x)s",
    "naïve 模型 🤖",
    "\\N",
)


def query(organization: str = "org_a", **more: object) -> UsageQuery:
    """A day around noon."""
    return UsageQuery(organization, NOON - timedelta(days=1), NOON + timedelta(days=1), **more)  # type: ignore[arg-type]


async def test_sums_are_exact_and_credits_are_not_multiplied(clickhouse: ClickHouse) -> None:
    records = [
        usage(
            f"e{i}",
            i,
            model=f"m{i % 3}",
            operation=f"op{i % 2}",
            api_key=f"key{i % 5}",
            user=f"u{i % 4}",
            status="failed" if i % 7 == 0 else "succeeded",
            quantity=f"{i}.000001",
            unit="image" if i % 2 else "second",
            **{name: i * 10 + at for at, name in enumerate(TOKEN_CLASSES)},
        )
        for i in range(60)
    ]
    charges = [charge(record, i, 1_000 + i) for i, record in enumerate(records)]
    sink = Sink(clickhouse)
    for _ in range(3):
        await sink.write(batch(*records, *charges))
    total = await totals(clickhouse, query())
    assert total["events"] == 60
    assert total["credits_micros"] == sum(1_000 + i for i in range(60))
    for at, name in enumerate(TOKEN_CLASSES):
        assert total[name] == sum(i * 10 + at for i in range(60))
    assert total["total_tokens"] == sum(total[name] for name in TOKEN_CLASSES)
    assert total["quantities"]["image"] == sum(Decimal(f"{i}.000001") for i in range(1, 60, 2))
    assert (total["first_at"], total["last_at"]) == (records[0].envelope.time, records[-1].envelope.time)
    for dimensions in (("model",), ("operation",), ("api_key", "status"), ("user", "operation", "model")):
        rows = await series(clickhouse, query(group_by=dimensions), limit=1_000)
        expected: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0])
        for i, record in enumerate(records):
            key = tuple(getattr(record.data, name) for name in dimensions)
            expected[key][0] += 1
            expected[key][1] += 1_000 + i
        assert {
            tuple(row[name] for name in dimensions): [row["events"], row["credits_micros"]] for row in rows
        } == expected
        assert [tuple(row[name] for name in dimensions) for row in rows] == sorted(expected)


async def test_filters_keep_what_has_one_of_the_values_in_usage_and_charges(clickhouse: ClickHouse) -> None:
    records = [usage(f"e{i}", i, model=f"m{i}", **({"operation": "op"} if i % 2 else {})) for i in range(6)]
    await Sink(clickhouse).write(batch(*records, *(charge(r, i, 10**i) for i, r in enumerate(records))))
    kept = await totals(clickhouse, query(filters={"model": ["m1", "m2", "other"]}))
    assert (kept["events"], kept["credits_micros"]) == (2, 110)
    kept = await totals(clickhouse, query(filters={"operation": [""], "model": ["m0", "m1"]}))
    assert (kept["events"], kept["credits_micros"]) == (1, 1)


async def test_the_top_is_ranked_by_each_measure(clickhouse: ClickHouse) -> None:
    records = [
        usage("a", 0, model="many", input_tokens=1),
        usage("b", 1, model="many", input_tokens=1),
        usage("c", 2, model="long", input_tokens=900),
        usage("d", 3, model="dear", input_tokens=2),
    ]
    charges = [charge(record, i, 5_000 if i == 3 else 1) for i, record in enumerate(records)]
    await Sink(clickhouse).write(batch(*records, *charges))
    for by, first in (("events", "many"), ("total_tokens", "long"), ("credits_micros", "dear")):
        rows = await top(clickhouse, query(), "model", by, limit=2)  # type: ignore[arg-type]
        assert rows[0]["model"] == first
        assert len(rows) == 2


async def test_nothing_is_zero_and_another_organization_sees_nothing(clickhouse: ClickHouse) -> None:
    await Sink(clickhouse).write(batch(usage("e", 0)))
    total = await totals(clickhouse, query("org_b"))
    assert (total["events"], total["credits_micros"], total["first_at"], total["quantities"]) == (0, 0, None, {})
    assert await series(clickhouse, query("org_b", group_by=("model",)), limit=10) == []


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40), max_size=6))
async def test_any_text_goes_in_and_comes_out_unchanged(clickhouse: ClickHouse, values: list[str]) -> None:
    organization = unique("org")
    texts = sorted({*NASTY, *values})
    records = [
        usage(f"e{i}", i, organization=organization, **({"model": text} if text else {"model": None}), note=text)
        for i, text in enumerate(texts)
    ]
    await Sink(clickhouse).write(batch(*records))
    rows = await series(clickhouse, query(organization, group_by=("model",)), limit=100)
    assert sorted(row["model"] for row in rows) == texts
    every = await totals(clickhouse, query(organization, filters={"model": texts}))
    assert every["events"] == len(texts)
    one = await series(clickhouse, query(organization, filters={"model": texts[-1:]}, group_by=("model",)), limit=9)
    assert [row["model"] for row in one] == texts[-1:]
    kept = await clickhouse.query(
        "SELECT properties['note'] AS note FROM usage WHERE organization_id = {o:String}", {"o": organization}
    )
    assert sorted(row["note"] for row in kept) == texts


ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana", "America/New_York")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    zone=st.sampled_from(ZONES),
    window=st.sampled_from(["minute", "hour", "day", "month"]),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 1)),
    days=st.integers(1, 400),
    parts=st.lists(st.integers(0, 999_999), min_size=1, max_size=30),
)
async def test_windows_of_any_zone_are_the_calendars(
    clickhouse: ClickHouse, zone: str, window: Window, start: datetime, days: int, parts: list[int]
) -> None:
    organization, begin = unique("org"), start.replace(tzinfo=UTC)
    end = begin + timedelta(days=days)
    times = [begin + (end - begin) * part / 1_000_000 for part in parts]
    records = [usage(f"e{i}", i, organization=organization, time=time) for i, time in enumerate(times)]
    await Sink(clickhouse).write(batch(*records))
    windows = ruler(begin, end, window, ZoneInfo(zone))
    rows = await series(clickhouse, UsageQuery(organization, begin, end, windows=windows), limit=1_000)
    expected: dict[int, int] = defaultdict(int)
    for time in times:
        expected[windows.start_of(int(time.timestamp()))] += 1
    assert [(row["window"], row["events"]) for row in rows] == sorted(expected.items())


async def test_a_local_day_in_berlin_ends_when_the_clock_there_says_so(clickhouse: ClickHouse) -> None:
    zone = ZoneInfo("Europe/Berlin")
    long_day = datetime(2026, 10, 25, tzinfo=zone)
    times = [long_day.astimezone(UTC) + timedelta(hours=hours) for hours in (-0.1, 0, 24.9, 25)]
    await Sink(clickhouse).write(batch(*(usage(f"e{i}", i, time=time) for i, time in enumerate(times))))
    start, end = datetime(2026, 10, 20, tzinfo=zone), datetime(2026, 10, 30, tzinfo=zone)
    found = UsageQuery("org_a", start, end, windows=ruler(start, end, "day", zone))
    rows = await series(clickhouse, found, limit=100)
    days = [(datetime.fromtimestamp(row["window"], zone).date().day, row["events"]) for row in rows]
    assert days == [(24, 1), (25, 2), (26, 1)]


async def test_an_unknown_dimension_never_reaches_sql(clickhouse: ClickHouse) -> None:
    with pytest.raises(ValueError, match="unknown dimensions"):
        await series(clickhouse, query(group_by=("event_id; DROP TABLE usage_facts",)), limit=1)
