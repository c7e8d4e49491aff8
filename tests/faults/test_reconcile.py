"""Reconcile reads the log in stretches: what it says must not depend on where they begin."""

import pytest

from tests.faults.plans import Plan
from tests.faults.scenario import carry_out
from tests.faults.world import World

SEED = 11


@pytest.mark.timeout(180)
async def test_a_conflict_and_a_duplicate_of_an_earlier_stretch_are_not_mistaken_for_each_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.ops.reconcile.CHUNK", 25)
    run, verdict = await carry_out(world, Plan("credits", conflicts=0.8, duplicates=0.8, after=200), SEED)
    assert len(run.record.conflicts) > 5
    assert verdict.lines() == []
