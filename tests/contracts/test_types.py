"""Instants as text: the fast way says what the standard library says."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from contracts.types import iso8601, rfc3339

INSTANTS = st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29), timezones=st.just(UTC))
OFFSETS = st.timedeltas(min_value=timedelta(hours=-23), max_value=timedelta(hours=23)).map(
    lambda offset: timezone(timedelta(minutes=offset // timedelta(minutes=1)))
)


@given(INSTANTS)
def test_iso_8601_is_pythons(instant: datetime) -> None:
    assert iso8601(instant) == instant.isoformat()
    assert iso8601(instant.replace(microsecond=0)) == instant.replace(microsecond=0).isoformat()


@given(INSTANTS, OFFSETS)
def test_rfc_3339_is_utc_with_six_places_whatever_the_zone(instant: datetime, zone: timezone) -> None:
    expected = instant.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert rfc3339(instant) == rfc3339(instant.astimezone(zone)) == expected
    assert rfc3339(instant.replace(microsecond=0)) == expected[:19] + ".000000Z"
