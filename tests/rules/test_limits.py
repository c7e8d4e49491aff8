"""The tables of rate limits, and whose quota an address is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.rules.access import RATE_CLASSES
from contracts.rules.limits import CLASSES, Limits, block_of, network_of, role_of


def test_every_class_says_something_for_every_role_and_more_to_higher_ones() -> None:
    for roles in CLASSES.values():
        assert tuple(roles) == RATE_CLASSES
        limited = [quota for quota in roles.values() if quota is not None]
        assert limited == sorted(limited)
    assert [CLASSES["default"][role] for role in RATE_CLASSES] == [10, 60, 120, None]


def test_figures_can_be_changed_one_by_one() -> None:
    changed = Limits().changed({"default": {"user": 7}}, {"free": 600})
    assert changed.classes["default"] == {"guest": 10, "user": 7, "manager": 120, "admin": None}
    assert changed.classes["strict"] == CLASSES["strict"]
    assert (changed.plans["free"], changed.plans["unlimited"], changed.limits_plans) == (600, None, True)
    assert not Limits().limits_plans
    for wrong in ({"nothing": {}}, {"default": {"nobody": 1}}):
        with pytest.raises(ValueError, match="classes are default, strict, lenient, roles guest"):
            Limits().changed(wrong, {})


def test_a_key_is_at_least_a_user_and_a_person_what_their_roles_say() -> None:
    assert role_of("guest", person=False) == "user"
    assert role_of("guest", person=True) == "guest"
    assert role_of("manager", person=False) == "manager"


def test_an_address_of_version_6_stands_for_its_network() -> None:
    assert network_of("192.0.2.7") == "192.0.2.7"
    assert network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2::1") == "2001:db8:1:2::/64"
    assert network_of("2001:db8:1:3::1") != network_of("2001:db8:1:2::1")
    assert network_of("somewhere") == "somewhere"


@given(st.integers(min_value=1, max_value=10**9))
def test_a_block_is_part_of_its_quota(quota: int) -> None:
    assert 1 <= block_of(quota) <= quota


def test_the_guide_has_these_figures(project: Path) -> None:
    lines = (project / "docs" / "api.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    written = {row[0]: row[1:] for row in rows if row[0] in CLASSES}
    told = {
        name: ["unlimited" if quota is None else str(quota) for quota in roles.values()]
        for name, roles in CLASSES.items()
    }
    assert written == told
    assert rows[0] == ["class", *RATE_CLASSES]
