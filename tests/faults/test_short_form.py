"""The short form of `make faults`: every role and engine is killed once under load, every other fault is done once."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.app.roles import ROLES
from tests.faults import network
from tests.faults.disks import why_not
from tests.faults.disturb import CUTS, DISTURBANCES, FULL_DISKS
from tests.faults.processes import ROOT
from tests.faults.refusals import STORMS
from tests.faults.scenarios import full_disks, too_few_replicas
from tests.faults.short import short_form
from tests.faults.world import ENGINES, World

SEED = 20261123
REFUSALS = ("connection limit", *(said for _, _, said in STORMS))


def expect_nothing_lost(result: dict[str, Any]) -> None:
    print(json.dumps(result, indent=2))
    assert result["problems"] == []
    assert (result["lost"], result["doubled"], result["wrong"]) == (0, 0, 0)
    assert result["reconcile_clean"]
    assert result["events_accepted"] > 0


@pytest.mark.timeout(300)
async def test_every_fault_done_once_under_load_loses_and_doubles_nothing(world: World) -> None:
    result = await short_form(world, SEED)
    expect_nothing_lost(result)
    assert set(result["kills"]) == {*ROLES, *ENGINES}
    assert all(result["kills"].values())
    assert set(result["other_faults"]) == set(DISTURBANCES)
    assert set(result["felt"]) == set(REFUSALS)
    assert all(result["felt"].values())


@pytest.mark.timeout(300)
@pytest.mark.skipif(bool(why_not()), reason=why_not() or "disks can be filled")
async def test_full_disks_of_kafka_and_of_postgres_lose_and_double_nothing(world: World) -> None:
    result, _ = await full_disks(world, SEED)
    expect_nothing_lost(result)
    assert result["felt"] == dict.fromkeys(FULL_DISKS, 1)


@pytest.mark.timeout(300)
async def test_a_cluster_with_too_few_replicas_refuses_and_nothing_is_lost_or_doubled(world: World) -> None:
    result, _ = await too_few_replicas(world, SEED)
    expect_nothing_lost(result)
    assert result["felt"] == {"too few replicas": 1}


@pytest.mark.timeout(300)
@pytest.mark.skipif(bool(network.why_not()), reason=network.why_not() or "engines can be cut off")
async def test_engines_that_are_cut_off_lose_and_double_nothing(tmp_path: Path) -> None:
    found = tmp_path / "result.json"
    options = ("--scenario", "cut_off", "--seed", str(SEED), "--result", str(found), "--home", str(tmp_path / "home"))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults", *options), cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
    )
    code = await process.wait()
    result = json.loads(found.read_text())
    expect_nothing_lost(result)
    assert code == 0
    assert result["felt"] == dict.fromkeys(CUTS, 1)
