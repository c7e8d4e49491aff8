"""Windows of local time: minute, hour, day and month in an IANA zone, right where clocks are changed.

Worked out here, from Python's zone data, and not in SQL: two engines with two editions of the zone data would
answer differently, and ClickHouse cuts hours wrongly where an offset is not whole hours (measured: Caracas, Lord Howe).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from contracts.errors import Invalid, Problem

Window = Literal["minute", "hour", "day", "month"]

MAX_SPAN: Final = timedelta(days=3660)
STEP_S: Final[dict[Window, int]] = {"minute": 60, "hour": 3_600, "day": 86_400}
_SHORTEST: Final[dict[Window, timedelta]] = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "month": timedelta(days=28),
}


@dataclass(frozen=True, slots=True)
class Ruler:
    """Where windows begin: from each of `bases` (seconds since 1970, ascending) on, every `step_s` until the next
    base; after a base in `single` there is one window, however long. The first base is the first window's start."""

    bases: tuple[int, ...]
    single: tuple[int, ...]
    step_s: int

    def start_of(self, second: int) -> int:
        """The start of the window that the second falls in; not before the first base."""
        base = max(known for known in self.bases if known <= second)
        return base if base in self.single else base + (second - base) // self.step_s * self.step_s


def zone_of(name: str) -> ZoneInfo:
    """The IANA zone. Raises: Invalid for a name that there is not."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        problem = Problem("/query/zone", "zone", "is not an IANA time zone such as Europe/Berlin")
        raise Invalid(f"There is no time zone {name[:64]!r}.", problems=(problem,)) from None


def count_at_most(start: datetime, end: datetime, window: Window) -> int:
    """No more than so many windows lie in [start, end)."""
    return int((end - start) / _SHORTEST[window]) + 2


def ruler(start: datetime, end: datetime, window: Window, zone: tzinfo) -> Ruler:
    """The windows of [start, end), from the one that holds `start` on."""
    if window == "month":
        bases = tuple(_second(day) for day in _month_starts(start, end, zone))
        return Ruler(bases, bases, 1)
    if window == "day":
        return _days(start, end, zone)
    return _even(start, end, STEP_S[window], zone)


def _second(instant: datetime) -> int:
    return int(instant.timestamp())


def _even(start: datetime, end: datetime, step_s: int, zone: tzinfo) -> Ruler:
    """Minutes or hours: even in every stretch between two changes of the clock."""
    offset = _offset_s(start, zone)
    bases = [(_second(start) + offset) // step_s * step_s - offset]
    for change in _changes(start, end, zone):
        offset = _offset_s(datetime.fromtimestamp(change, UTC), zone)
        if (change + offset) % step_s:
            rest = -(change + offset) % step_s
            bases += [change, change + rest]
        else:
            bases.append(change)
    return Ruler(tuple(sorted(set(bases))), (), step_s)


def _days(start: datetime, end: datetime, zone: tzinfo) -> Ruler:
    """Days of 24 hours, and around each change of the clock one day for itself."""
    first = _first_instant(start.astimezone(zone).date(), zone)
    bases, single = {first}, set()
    # The first day may itself begin with a change: where clocks go forward at midnight (Cairo).
    for change in _changes(datetime.fromtimestamp(first - 1, UTC), end, zone):
        for day in {_date_at(change - 1, zone), _date_at(change, zone)}:
            begin, after = _first_instant(day, zone), _first_instant(day + timedelta(days=1), zone)
            if begin >= first and after - begin != STEP_S["day"]:
                bases |= {begin, after}
                single.add(begin)
    return Ruler(tuple(sorted(bases)), tuple(sorted(single)), STEP_S["day"])


def _date_at(second: int, zone: tzinfo) -> date:
    return datetime.fromtimestamp(second, UTC).astimezone(zone).date()


def _month_starts(start: datetime, end: datetime, zone: tzinfo) -> Iterator[datetime]:
    day = start.astimezone(zone).date().replace(day=1)
    while (second := _first_instant(day, zone)) < end.timestamp():
        yield datetime.fromtimestamp(second, UTC)
        day = (day + timedelta(days=32)).replace(day=1)


def _first_instant(day: date, zone: tzinfo) -> int:
    """The first second of a local date, also where its midnight does not exist; the next date's where the whole
    date was skipped (Apia, 30 December 2011)."""
    guess = datetime(day.year, day.month, day.day, tzinfo=zone)
    second = _second(guess)
    if _date_at(second, zone) == day:
        return second
    around = datetime.fromtimestamp(second, UTC)
    return next(_changes(around - timedelta(days=2), around + timedelta(days=2), zone), second)


def _changes(start: datetime, end: datetime, zone: tzinfo) -> Iterator[int]:
    """The seconds in (start, end] from which on the zone's offset is another; no zone changes twice in a day."""
    low, last = _second(start), _second(end)
    while low < last:
        high = min(low + 86_400, last)
        if _offset_at(low, zone) != _offset_at(high, zone):
            yield _change_between(low, high, zone)
        low = high


def _change_between(low: int, high: int, zone: tzinfo) -> int:
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset_at(middle, zone) != _offset_at(low, zone) else (middle, high)
    return high


def _offset_at(second: int, zone: tzinfo) -> int:
    return _offset_s(datetime.fromtimestamp(second, UTC), zone)


def _offset_s(instant: datetime, zone: tzinfo) -> int:
    offset = instant.astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0
