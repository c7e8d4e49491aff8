"""The short form of `make faults`: every role and engine is killed once under load."""

import json
from pathlib import Path

import pytest

from infra.app.roles import ROLES
from tests.faults.short import short_form
from tests.faults.world import ENGINES

SEED = 20261123


@pytest.mark.timeout(300)
async def test_killing_every_role_and_engine_under_load_loses_and_doubles_nothing(tmp_path: Path) -> None:
    result = await short_form(tmp_path, SEED)
    print(json.dumps(result, indent=2))
    assert result["problems"] == []
    assert (result["lost"], result["doubled"], result["wrong"]) == (0, 0, 0)
    assert result["reconcile_clean"]
    assert set(result["kills"]) == {*ROLES, *ENGINES}
    assert all(result["kills"].values())
    assert result["events_accepted"] > 0
