"""Permissions, roles and what they come to."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from contracts.rules import access, decisions
from contracts.rules.access import (
    PERMISSIONS,
    SYSTEM_ROLES,
    TEMPLATES,
    Assigned,
    Role,
    allows,
    beyond,
    covers,
    effective,
    is_scope,
    lineage,
    makes_cycle,
)

FAMILIES = sorted({one.partition(":")[0] for one in PERMISSIONS})
SCOPE = st.sampled_from([*PERMISSIONS, "*", *(f"{family}:*" for family in FAMILIES)])
SCOPES = st.frozensets(SCOPE, max_size=6)
IDS = [f"r{number}" for number in range(7)]


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Role]:
    """Roles that inherit each other in any way, themselves and unknown ones too."""
    parents = st.lists(st.sampled_from([*IDS, "unknown"]), max_size=4).map(tuple)
    return {one: Role(one, one, "", draw(SCOPES), draw(parents)) for one in IDS}


def grown(role: Role, scope: str) -> Role:
    return role._replace(permissions=role.permissions | {scope})


@given(graphs(), st.sampled_from(IDS))
def test_a_lineage_ends_whatever_inherits_whatever_and_names_each_role_once(roles: dict[str, Role], start: str) -> None:
    found = lineage(start, roles)
    assert found[0] == start
    assert len(found) == len(set(found)) <= len(roles)
    assert all(parent in found for one in found for parent in roles[one].inherits if parent in roles)


@given(graphs(), st.sampled_from(IDS), st.sampled_from(IDS), SCOPE)
def test_more_in_a_role_is_never_less_for_anybody(roles: dict[str, Role], one: str, other: str, scope: str) -> None:
    before = effective((one,), roles)
    assert before <= effective((one, other), roles)
    assert before <= effective((one,), roles | {other: grown(roles[other], scope)})


@given(SCOPES, SCOPE, SCOPE)
def test_what_is_handed_on_can_be_handed_on_again_and_is_no_more(held: frozenset[str], one: str, other: str) -> None:
    if covers(held, one) and covers(frozenset((one,)), other):
        assert covers(held, other)


@given(SCOPES, SCOPES)
def test_who_is_beyond_nothing_gets_no_permission_by_handing_on(held: frozenset[str], wanted: frozenset[str]) -> None:
    gained = {one for one in PERMISSIONS if allows(wanted, one)} - {one for one in PERMISSIONS if allows(held, one)}
    assert bool(beyond(held, wanted)) == bool(gained)


@given(graphs(), st.sampled_from(IDS), st.sampled_from(IDS))
def test_a_cycle_is_seen_before_it_is_made(roles: dict[str, Role], child: str, parent: str) -> None:
    made = roles | {child: roles[child]._replace(inherits=(parent,))}
    reached = {found for grand in made[child].inherits for found in lineage(grand, made)}
    assert makes_cycle(child, (parent,), roles) == (child in reached)


@given(graphs(), st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(["", "t1", "t2"])), max_size=5))
def test_a_permission_is_held_exactly_where_it_has_a_source(
    roles: dict[str, Role], pairs: list[tuple[str, str]]
) -> None:
    assigned = [Assigned(*pair) for pair in pairs]
    found = access.held(assigned, roles)
    for permission in PERMISSIONS:
        places = {one.team_id for one in access.sources(permission, assigned, roles)}
        assert ("" in places) == allows(found.scopes, permission)
        for team in ("t1", "t2"):
            assert (team in places) == allows(found.teams.get(team, frozenset()), permission)


@given(graphs(), st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(["", "t1"])), max_size=4), st.booleans())
def test_a_decision_says_yes_exactly_when_it_is_held(
    roles: dict[str, Role], pairs: list[tuple[str, str]], missing: bool
) -> None:
    assigned = [Assigned(*pair) for pair in pairs]
    for permission in ("credits:read", "system:mail"):
        for team in (None, "t1", "t2"):
            held = any(one.team_id in ("", team) for one in access.sources(permission, assigned, roles))
            decision = decisions.of_member(permission, team, assigned, roles, status="active", factor_missing=missing)
            assert decision.allowed == (held and not missing)
            assert decision.reason
            suspended = decisions.of_member(
                permission, team, assigned, roles, status="disabled", factor_missing=missing
            )
            assert not suspended.allowed


def test_each_system_role_holds_what_the_one_below_it_holds_and_more() -> None:
    ladder = [effective((one,), SYSTEM_ROLES) for one in SYSTEM_ROLES]
    for lower, higher in pairwise(ladder):
        assert not beyond(higher, lower)
        assert beyond(lower, higher)
    assert not beyond(ladder[-1], PERMISSIONS)


def test_only_the_superadmin_crosses_organizations_or_makes_money() -> None:
    admin = effective(("admin",), SYSTEM_ROLES)
    assert not [one for one in PERMISSIONS if one.startswith("system:") and allows(admin, one)]
    assert not allows(admin, "credits:grant")
    assert not allows(admin, "deadletters:write")


def test_every_scope_of_roles_and_templates_is_one() -> None:
    for scopes in (*(role.permissions for role in SYSTEM_ROLES.values()), *TEMPLATES.values()):
        assert all(is_scope(scope) for scope in scopes)


def test_reasons_name_the_role_and_the_one_it_comes_through() -> None:
    def reason(permission: str, *assigned: Assigned, team: str | None = None) -> str:
        return decisions.of_member(
            permission, team, assigned, SYSTEM_ROLES, status="active", factor_missing=False
        ).reason

    assert reason("credits:read", Assigned("user")) == "held by the role User"
    assert reason("credits:read", Assigned("manager")) == "held by the role User through Manager"
    assert reason("teams:write", Assigned("manager", "team_1"), team="team_1").endswith("in the team team_1")
    assert "in the team team_1 only" in reason("teams:write", Assigned("manager", "team_1"))
    assert reason("credits:grant", Assigned("user")) == "missing: no role of theirs (User) gives credits:grant"
    assert "no role" in reason("credits:grant")
    assert decisions.of_key("credits:read", frozenset(("credits:*",))).reason == "held by the key's scope credits:*"
    assert not decisions.of_key("credits:read", frozenset(("events:*",))).allowed
