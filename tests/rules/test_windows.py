"""Windows of local time, compared with the calendar second by second around every change of the clock."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import Invalid
from contracts.rules.windows import Window, ruler, zone_of

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Caracas",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "America/Havana",
    "Pacific/Apia",
    "Asia/Pyongyang",
    "Africa/Cairo",
    "Antarctica/Troll",
)

instants = st.integers(946_684_800, 2_000_000_000)


def label(second: int, window: Window, zone: ZoneInfo) -> tuple[object, ...]:
    """What a person would call the window: its local date and, for hours and minutes, the clock and its offset."""
    local = datetime.fromtimestamp(second, UTC).astimezone(zone)
    if window == "month":
        return (local.year, local.month)
    if window == "day":
        return (local.date(),)
    if window == "hour":
        return (local.date(), local.hour, local.utcoffset())
    return (local.date(), local.hour, local.minute, local.utcoffset())


@given(
    zone=st.sampled_from(ZONES),
    window=st.sampled_from(["minute", "hour", "day", "month"]),
    start=instants,
    days=st.integers(1, 800),
    parts=st.lists(st.floats(0, 1, exclude_max=True), min_size=2, max_size=20),
)
def test_two_seconds_share_a_window_exactly_when_the_calendar_says_so(
    zone: str, window: Window, start: int, days: int, parts: list[float]
) -> None:
    place, end = ZoneInfo(zone), start + days * 86_400
    found = ruler(datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC), window, place)
    seconds = sorted({start + int(part * (end - start)) for part in parts})
    near = [base + d for base in found.bases for d in (-1, 0, 1) if start <= base + d < end][:60]
    for second in [*seconds, *near]:
        begin = found.start_of(second)
        assert begin <= second
        assert label(begin, window, place) == label(second, window, place)
        if begin > found.bases[0]:
            assert label(begin - 1, window, place) != label(begin, window, place)


def test_a_day_has_23_24_or_25_hours_in_berlin() -> None:
    zone = ZoneInfo("Europe/Berlin")
    found = ruler(datetime(2026, 3, 28, tzinfo=zone), datetime(2026, 10, 27, tzinfo=zone), "day", zone)
    starts = sorted({found.start_of(second) for second in range(found.bases[0], found.bases[0] + 220 * 86_400, 1800)})
    lengths = {later - earlier for earlier, later in pairwise(starts)}
    assert lengths == {23 * 3600, 24 * 3600, 25 * 3600}


def test_a_first_day_that_begins_with_a_change_of_the_clock_has_its_own_length() -> None:
    zone = ZoneInfo("Africa/Cairo")
    start = datetime(2002, 4, 26, 12, tzinfo=zone)
    found = ruler(start, start + timedelta(days=3), "day", zone)
    second = int(datetime(2002, 4, 27, 0, 30, tzinfo=zone).timestamp())
    assert datetime.fromtimestamp(found.start_of(second), zone) == datetime(2002, 4, 27, tzinfo=zone)


def test_the_repeated_hour_is_two_windows() -> None:
    zone = ZoneInfo("Europe/Berlin")
    start = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
    found = ruler(start, start + timedelta(hours=3), "hour", zone)
    starts = [found.start_of(int(start.timestamp()) + minutes * 60) for minutes in (10, 70, 130)]
    assert len(set(starts)) == 3


def test_an_unknown_zone_is_refused_with_a_pointer() -> None:
    for name in ("Mars/Olympus", "../etc/passwd", "", "Europe/Berlin\x00", "x" * 500):
        with pytest.raises(Invalid) as refused:
            zone_of(name)
        assert refused.value.problems[0].pointer == "/query/zone"
