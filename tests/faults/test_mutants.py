"""Every seeded bug is caught by its plan, and every plan leaves the product itself clean."""

import subprocess
import sys

import pytest

from tests.faults.mutants import MUTANTS
from tests.faults.points import POINTS
from tests.faults.processes import ROOT
from tests.faults.scenario import carry_out, hunt
from tests.faults.world import World

SEED = 1
QUICK = ("accepted_before_ack", "offset_before_effect", "time_in_identity", "outbox_deleted_before_publish")
PLANS = {mutant.plan: name for name, mutant in MUTANTS.items()}
"""Plans, each with the name of a mutant that it catches."""


def _marked(names: list[str]) -> list[object]:
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in names]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("mutant", _marked(list(MUTANTS)))
async def test_the_mutant_is_caught(world: World, mutant: str) -> None:
    assert await hunt(world, mutant, SEED, print)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("mutant", list(PLANS.values()))
async def test_the_plan_that_catches_it_leaves_the_product_clean(world: World, mutant: str) -> None:
    run, verdict = await carry_out(world, MUTANTS[mutant].plan, SEED)
    assert verdict.lines() == []
    assert verdict.good
    assert len(run.record.accepted) == verdict.accepted > 0


def test_every_mutant_names_a_role_and_a_point_that_exist() -> None:
    assert len(MUTANTS) >= 12
    for mutant in MUTANTS.values():
        assert mutant.plan.point is None or POINTS[mutant.plan.point].role == mutant.plan.role


def test_every_mutant_and_point_finds_in_the_product_what_it_replaces() -> None:
    command = (sys.executable, "-m", "tests.faults.patched", "--check")
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert (checked.returncode, checked.stderr) == (0, "")
