"""Scenarios with a name, by command and here, marked slow."""

import pytest

from tests.faults.disks import why_not
from tests.faults.scenarios import SCENARIOS
from tests.faults.world import World

SEED = 3
HERE = [name for name in SCENARIOS if name != "cut_off"]
"""That one needs a process with a network of its own: test_short_form.py gives it one."""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", HERE)
async def test_the_scenario_ends_clean(world: World, name: str) -> None:
    if name == "full_disks" and why_not():
        pytest.skip(why_not())
    result, good = await SCENARIOS[name](world, SEED)
    assert result["problems"] == []
    assert good
