"""Growing delays: laws for any sequence of failures."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from contracts.rules.throttle import DELAYS_S, MAX_FAILURES, WINDOW, Failures, failed, locks, wait

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def test_delays_grow_and_there_is_one_for_every_failure_but_the_last() -> None:
    assert list(DELAYS_S) == sorted(DELAYS_S)
    assert len(DELAYS_S) == MAX_FAILURES - 1


@given(st.lists(st.floats(0, 4000), max_size=60))
def test_whoever_tries_whenever_they_may_fails_at_most_ten_times_in_a_window(pauses: list[float]) -> None:
    known: Failures | None = None
    now, times = NOW, []
    for pause in pauses:
        now += timedelta(seconds=pause)
        if wait(known, now):
            continue
        known = failed(known, now)
        times.append((known.since, now))
        assert wait(known, now) >= timedelta(0)
    for since in {since for since, _ in times}:
        inside = [at for start, at in times if start == since]
        assert len(inside) <= MAX_FAILURES
        assert all(at < since + WINDOW for at in inside)


@given(st.integers(1, MAX_FAILURES - 1), st.integers(0, 3599))
def test_the_last_failure_of_a_window_waits_for_its_end_and_then_all_begins_anew(count: int, after: int) -> None:
    now = NOW + timedelta(seconds=after)
    known = failed(Failures(count, NOW, NOW), now)
    assert locks(known) == (count + 1 == MAX_FAILURES)
    if locks(known):
        assert known.next_at == NOW + WINDOW
    fresh = failed(known, NOW + WINDOW)
    assert (fresh.failures, fresh.since) == (1, NOW + WINDOW)


def test_who_never_failed_does_not_wait() -> None:
    assert wait(None, NOW) == timedelta(0)
