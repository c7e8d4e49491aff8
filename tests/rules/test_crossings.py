"""Thresholds with hysteresis."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.rules.crossings import Crossing, Level, cross, recovery_micros

LOW, DEPLETED, RECOVERED = Crossing.LOW, Crossing.DEPLETED, Crossing.RECOVERED


@pytest.mark.parametrize(
    ("level", "available", "falls", "then", "told"),
    [
        (Level.OK, 10, True, Level.OK, ()),
        (Level.OK, 9, True, Level.LOW, (LOW,)),
        (Level.OK, 0, True, Level.DEPLETED, (LOW, DEPLETED)),
        (Level.LOW, 5, True, Level.LOW, ()),
        (Level.LOW, 0, True, Level.DEPLETED, (DEPLETED,)),
        (Level.DEPLETED, 0, True, Level.DEPLETED, ()),
        (Level.LOW, 10, False, Level.LOW, ()),
        (Level.LOW, 11, False, Level.OK, (RECOVERED,)),
        (Level.DEPLETED, 4, False, Level.DEPLETED, ()),
        (Level.DEPLETED, 5, False, Level.LOW, ()),
        (Level.DEPLETED, 11, False, Level.OK, (RECOVERED,)),
        (Level.OK, 5, False, Level.OK, ()),
    ],
)
def test_the_table(level: Level, available: int, falls: bool, then: Level, told: tuple[Crossing, ...]) -> None:
    assert cross(level, available, 10, falls=falls) == (then, told)


def test_a_threshold_of_zero_only_tells_of_depletion() -> None:
    assert cross(Level.OK, 0, 0, falls=True) == (Level.DEPLETED, (DEPLETED,))
    assert cross(Level.DEPLETED, 1, 0, falls=False) == (Level.OK, (RECOVERED,))


@given(st.sampled_from(Level), st.integers(0, 40), st.integers(0, 20), st.booleans())
def test_standing_still_tells_nothing_more(level: Level, available: int, threshold: int, falls: bool) -> None:
    then, _ = cross(level, available, threshold, falls=falls)
    assert cross(then, available, threshold, falls=falls) == (then, ())


@given(st.lists(st.integers(0, 30), max_size=30), st.integers(0, 20))
def test_recovered_only_follows_low_or_depleted(steps: list[int], threshold: int) -> None:
    level, available, told = Level.OK, recovery_micros(threshold), [RECOVERED]
    for after in steps:
        level, now = cross(level, after, threshold, falls=after < available)
        told += now
        available = after
    for before, one in itertools.pairwise(told):
        assert (one is RECOVERED) <= (before is not RECOVERED)
        assert not (one is LOW and before is not RECOVERED)
