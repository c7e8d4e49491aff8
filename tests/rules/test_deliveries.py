"""When a webhook is tried again, and when an endpoint is left alone."""

from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.rules.deliveries import (
    BREAKER_MINIMUM,
    RETRY_DELAYS_S,
    Breaker,
    Outcome,
    next_attempt,
    outcome_of,
    retry_after_s,
)
from tests.support.clock import FakeClock

NOW = FakeClock().now()
CHANCES = st.floats(min_value=0, max_value=1, exclude_max=True)


def test_the_schedule_is_the_one_on_the_page() -> None:
    assert RETRY_DELAYS_S == (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)


@pytest.mark.parametrize(
    "status, outcome",
    [
        (200, Outcome.SUCCEEDED),
        (204, Outcome.SUCCEEDED),
        (299, Outcome.SUCCEEDED),
        (301, Outcome.FAILED),
        (307, Outcome.FAILED),
        (400, Outcome.FAILED),
        (404, Outcome.FAILED),
        (410, Outcome.GONE),
        (429, Outcome.THROTTLED),
        (500, Outcome.FAILED),
        (503, Outcome.THROTTLED),
    ],
)
def test_the_status_decides_the_outcome(status: int, outcome: Outcome) -> None:
    assert outcome_of(status) is outcome


def test_no_status_is_a_failure_and_a_timeout_a_kind_of_its_own() -> None:
    assert outcome_of(None) is Outcome.FAILED
    assert outcome_of(None, timed_out=True) is Outcome.TIMED_OUT


@given(st.integers(1, 9), CHANCES)
def test_a_failure_is_tried_again_within_a_fifth_of_the_schedule(made: int, chance: float) -> None:
    again = next_attempt(made, Outcome.FAILED, NOW, chance)
    assert again is not None
    assert 0.8 * RETRY_DELAYS_S[made] <= (again - NOW).total_seconds() <= 1.2 * RETRY_DELAYS_S[made]


@given(st.integers(10, 100), st.sampled_from(Outcome), CHANCES)
def test_after_as_many_attempts_as_there_are_delays_it_is_over(made: int, outcome: Outcome, chance: float) -> None:
    assert next_attempt(made, outcome, NOW, chance) is None


@given(st.integers(1, 9), CHANCES)
def test_what_succeeded_or_is_gone_is_never_tried_again(made: int, chance: float) -> None:
    assert next_attempt(made, Outcome.SUCCEEDED, NOW, chance) is None
    assert next_attempt(made, Outcome.GONE, NOW, chance) is None


@given(CHANCES)
def test_the_first_retry_after_a_timeout_waits_a_minute(chance: float) -> None:
    assert next_attempt(1, Outcome.TIMED_OUT, NOW, chance) == NOW + timedelta(seconds=60)


@given(st.integers(1, 9), CHANCES, st.floats(0, 86_400))
def test_retry_after_lengthens_the_wait_of_a_throttled_attempt_and_of_no_other(
    made: int, chance: float, wait_s: float
) -> None:
    plain = next_attempt(made, Outcome.FAILED, NOW, chance)
    throttled = next_attempt(made, Outcome.THROTTLED, NOW, chance, wait_s=wait_s)
    assert plain is not None
    assert throttled == max(plain, NOW + timedelta(seconds=wait_s))
    assert next_attempt(made, Outcome.FAILED, NOW, chance, wait_s=wait_s) == plain


@pytest.mark.parametrize(
    "value, seconds",
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("999999999999", 86_400.0),
        ("Mon, 23 Nov 2026 12:02:00 GMT", 120.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, NOW) == seconds


@given(st.text(max_size=40))
@example("Mon, 01 Jan 999999999999 00:00:00 GMT")
@example("Mon, 01 Jan 2026 999999999999:00:00 GMT")
@example("Mon, 01 Jan 2026 00:00:00 +99999999999999")
def test_no_retry_after_header_breaks_it(value: str) -> None:
    seconds = retry_after_s(value, NOW)
    assert seconds is None or 0 <= seconds <= 86_400


def _failing(breaker: Breaker, count: int, at: float) -> None:
    for _ in range(count):
        breaker.record(at, succeeded=False)


def test_the_breaker_opens_at_the_tenth_failure_for_thirty_seconds() -> None:
    breaker = Breaker()
    _failing(breaker, BREAKER_MINIMUM - 1, 100.0)
    assert breaker.admits(100.0)
    _failing(breaker, 1, 100.0)
    assert not breaker.admits(129.9)
    assert breaker.admits(130.0)


def test_the_breaker_stays_closed_below_seventy_percent() -> None:
    breaker = Breaker()
    for number in range(100):
        breaker.record(100.0 + number, succeeded=number % 10 < 4)
    assert breaker.admits(300.0)


def test_failures_older_than_five_minutes_do_not_count() -> None:
    breaker = Breaker()
    _failing(breaker, 9, 0.0)
    _failing(breaker, 1, 301.0)
    assert breaker.admits(301.0)


def test_after_the_pause_one_trial_at_a_time_is_let_through() -> None:
    breaker = Breaker()
    _failing(breaker, 10, 0.0)
    assert breaker.admits(31.0, in_flight=0)
    assert not breaker.admits(31.0, in_flight=1)


def test_each_failed_trial_doubles_the_pause_up_to_fifteen_minutes_and_a_success_closes_it() -> None:
    breaker, at, pauses = Breaker(), 0.0, []
    _failing(breaker, 10, at)
    for _ in range(8):
        assert breaker.open_until is not None
        pauses.append(breaker.open_until - at)
        at = breaker.open_until
        breaker.record(at, succeeded=False)
    assert pauses == [30, 60, 120, 240, 480, 900, 900, 900]
    breaker.record(at + 900, succeeded=True)
    assert breaker.admits(at + 900, in_flight=7)
    assert breaker.trips == 0


def test_attempts_under_way_when_it_opened_do_not_lengthen_the_pause() -> None:
    breaker = Breaker()
    _failing(breaker, 10, 0.0)
    _failing(breaker, 8, 5.0)
    assert breaker.open_until == 30.0


@given(st.lists(st.tuples(st.floats(0, 60), st.booleans()), max_size=200))
def test_the_breaker_never_pauses_longer_than_fifteen_minutes(steps: list[tuple[float, bool]]) -> None:
    breaker, at = Breaker(), 0.0
    for wait, succeeded in steps:
        at += wait
        breaker.record(at, succeeded=succeeded)
        assert breaker.open_until is None or breaker.open_until - at <= 900
