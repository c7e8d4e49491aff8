"""A role dies at every named point of the commit path, and nothing is lost or doubled."""

import pytest

from tests.faults.plans import Plan
from tests.faults.points import POINTS
from tests.faults.scenario import carry_out
from tests.faults.world import World

SEED = 7
NTH = 2


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("point", list(POINTS))
async def test_a_death_at_the_point_changes_nothing(world: World, point: str) -> None:
    run, verdict = await carry_out(world, Plan(POINTS[point].role, point, NTH, conflicts=0.5), SEED)
    assert verdict.lines() == []
    assert run.hub.deaths[POINTS[point].role] == 1
