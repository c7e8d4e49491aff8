"""Limits of sessions."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from contracts.rules.sessions import STAFF, Limits, is_over, limits

NOW = datetime(2026, 11, 23, tzinfo=UTC)
USER, ADMIN = frozenset(("credits:read",)), frozenset(("*",))


def test_who_may_cross_organizations_has_less_time_and_others_as_much_as_their_organization_says() -> None:
    assert limits(USER, {}) == limits(ADMIN, {}) == Limits(None, None)
    assert limits(frozenset(("system:*",)), {}) == limits(frozenset(("system:mail",)), {}) == STAFF
    policy = {"session_idle_minutes": 15, "session_max_hours": 24}
    assert limits(USER, policy) == Limits(timedelta(minutes=15), timedelta(hours=24))
    assert limits(frozenset(("system:*",)), policy) == Limits(timedelta(minutes=15), timedelta(hours=12))


def test_what_a_policy_cannot_mean_is_no_limit() -> None:
    assert limits(USER, {"session_idle_minutes": "x", "session_max_hours": 0}) == Limits(None, None)


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 500), st.integers(1, 50))
def test_a_session_is_over_once_a_limit_is_passed_and_not_before(age: int, unused: int, idle: int, life: int) -> None:
    limit = Limits(timedelta(minutes=idle), timedelta(hours=life))
    begun, last = NOW - timedelta(minutes=age), NOW - timedelta(minutes=min(unused, age))
    over = is_over(limit, authenticated_at=begun, last_used_at=last, now=NOW)
    assert over == (min(unused, age) > idle or age > life * 60)
    assert not is_over(Limits(None, None), authenticated_at=begun, last_used_at=last, now=NOW)
