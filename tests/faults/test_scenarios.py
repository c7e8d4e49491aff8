"""Scenarios with a name, by command and here, marked slow."""

from pathlib import Path

import pytest

from tests.faults.scenarios import SCENARIOS
from tests.faults.world import World

SEED = 3


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", [name for name, found in SCENARIOS.items() if not found.own_world])
async def test_the_scenario_ends_clean(world: World, name: str) -> None:
    result, good = await SCENARIOS[name].in_world(world, SEED)
    assert result["problems"] == []
    assert good


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [name for name, found in SCENARIOS.items() if found.own_world])
async def test_the_scenario_ends_clean_in_a_world_of_its_own(tmp_path: Path, name: str) -> None:
    result, good = await SCENARIOS[name].in_own_world(tmp_path, SEED)
    assert result["problems"] == []
    assert good
