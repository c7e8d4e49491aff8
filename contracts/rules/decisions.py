"""Whether somebody may do something, and why, in words that a person understands."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from contracts.rules.access import Assigned, Role, Source, allows, sources


class Decision(NamedTuple):
    """The answer to "may they?"; `reason` is for people, it may change."""

    allowed: bool
    reason: str


def of_member(
    permission: str,
    team_id: str | None,
    assigned: Iterable[Assigned],
    roles: Mapping[str, Role],
    *,
    status: str,
    factor_missing: bool,
) -> Decision:
    """Whether a member may, in the whole organization or in the team."""
    if status != "active":
        return Decision(False, "suspended: the account is disabled")
    mine = tuple(assigned)
    if found := [one for one in sources(permission, mine, roles) if one.team_id in ("", team_id)]:
        if factor_missing:
            return Decision(False, "mfa required: the organization demands a second factor, and they have none")
        return Decision(True, _held(found[0], roles))
    if elsewhere := sources(permission, mine, roles):
        return Decision(False, f"missing here: {permission} is held in the team {elsewhere[0].team_id} only")
    names = ", ".join(sorted({roles[one.role_id].name for one in mine if one.role_id in roles}))
    return Decision(False, f"missing: {f'no role of theirs ({names})' if names else 'they have no role and so none'}"
                           f" gives {permission}")  # fmt: skip


def of_key(permission: str, scopes: frozenset[str]) -> Decision:
    """Whether a key may."""
    for scope in sorted(scopes):
        if allows(frozenset((scope,)), permission):
            return Decision(True, f"held by the key's scope {scope}")
    return Decision(False, f"missing: none of the key's scopes ({', '.join(sorted(scopes))}) gives {permission}")


def _held(source: Source, roles: Mapping[str, Role]) -> str:
    role, through = roles[source.role].name, roles[source.through].name
    by = f"held by the role {role}"
    if source.role != source.through:
        by += f" through {through}"
    return by + (f" in the team {source.team_id}" if source.team_id else "")
