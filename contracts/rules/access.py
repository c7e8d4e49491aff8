"""Who may do what: permissions, system roles, and what a set of roles comes to. Pure tables and functions."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

PUBLIC: Final = "public"
"""Says that a route needs nobody."""
SELF: Final = "self"
"""Says that a route needs a person who is logged in, and is about that person only."""
ANYBODY: Final = "anybody"
"""Says that a route needs somebody who proved who they are, key or person; the service narrows what they get."""

PERMISSIONS: Final[dict[str, str]] = {
    "events:write": "Send usage events",
    "events:read": "Follow an event's journey",
    "credits:read": "Read balance and statement",
    "credits:grant": "Grant, adjust and refund credits",
    "prices:read": "Read the price book",
    "prices:write": "Publish versions of the price book",
    "payments:read": "Read payments and receipts",
    "payments:write": "Buy credits, change the auto top-up",
    "services:read": "List services and models",
    "services:use": "Call services through the gateway",
    "services:write": "Configure services and models",
    "analytics:read": "Read usage analytics",
    "analytics:export": "Export usage analytics",
    "webhooks:read": "Read webhook endpoints and deliveries",
    "webhooks:write": "Change webhook endpoints, retry deliveries",
    "deadletters:read": "Browse dead letters",
    "deadletters:write": "Re-drive and drop dead letters",
    "organizations:read": "Read the organization",
    "organizations:write": "Change the organization and its policy",
    "users:read": "List members and their roles",
    "users:write": "Invite, disable and change members",
    "users:delete": "Remove members",
    "teams:read": "List teams and their members",
    "teams:write": "Change teams and their members",
    "roles:read": "Read roles and the permission matrix",
    "roles:write": "Create, change and delete roles",
    "roles:assign": "Assign roles to members",
    "keys:read": "List API keys",
    "keys:write": "Create, rotate and revoke API keys",
    "audit:read": "Read and verify the audit trail",
    "audit:export": "Export the audit trail and its head",
    "security:read": "Read the security dashboard",
    "security:write": "Resolve security reports",
    "auth:write": "State auth events",
    "system:organizations": "Create organizations and list all of them",
    "system:reconcile": "Compare the books and re-drive what is missing",
    "system:any_organization": "Act for any organization",
    "system:users": "Disable and enable people's accounts",
    "system:services": "Create service credentials, which may speak for users",
    "system:mail": "Read the mail outbox",
    "system:security": "Rotate signing keys",
}
"""What can be asked for, as `resource:action`. `system:` crosses organizations."""


class Role(NamedTuple):
    """A named set of permissions that takes in those of the roles it inherits."""

    id: str
    name: str
    description: str
    permissions: frozenset[str]
    inherits: tuple[str, ...] = ()


_GUEST: Final = ("organizations:read", "prices:read", "services:read")
_USER: Final = (
    "analytics:read", "credits:read", "events:read", "events:write", "payments:read", "services:use", "webhooks:read",
)  # fmt: skip
_MANAGER: Final = (
    "analytics:export", "keys:read", "roles:read", "teams:read", "teams:write", "users:read", "webhooks:write",
)  # fmt: skip
_ADMIN: Final = (
    "audit:export", "audit:read", "keys:write", "organizations:write", "payments:write", "roles:assign", "roles:write",
    "security:read", "services:write", "users:delete", "users:write",
)  # fmt: skip

SYSTEM_ROLES: Final[Mapping[str, Role]] = {
    role.id: role
    for role in (
        Role("guest", "Guest", "Looks around", frozenset(_GUEST)),
        Role("user", "User", "Uses services and sees what was used", frozenset(_USER), ("guest",)),
        Role("manager", "Manager", "Runs teams", frozenset(_MANAGER), ("user",)),
        Role("admin", "Admin", "Runs the organization", frozenset(_ADMIN), ("manager",)),
        Role("superadmin", "Superadmin", "Runs the hub", frozenset(("*", "system:*")), ("admin",)),
    )
}
"""In every organization, changed by nobody; each takes in the one before it."""

OWNER_ROLE: Final = "admin"
"""What an owner holds, whatever roles they have: nobody can lock the owner out."""

RATE_CLASSES: Final = ("guest", "user", "manager", "admin")
"""System roles that limit how often somebody may ask, the tightest first."""

TEMPLATES: Final[Mapping[str, frozenset[str]]] = {
    "billing": frozenset(("credits:read", "payments:read", "payments:write", "prices:read", "analytics:read")),
    "developer": frozenset(("events:*", "keys:read", "services:use", "webhooks:*", "analytics:read", "credits:read")),
    "auditor": frozenset(("audit:read", "audit:export", "roles:read", "users:read", "security:read")),
    "analyst": frozenset(("analytics:read", "analytics:export", "credits:read")),
}
"""Sets of permissions to start a role of one's own from."""


def allows(scopes: frozenset[str], permission: str) -> bool:
    """Whether the scopes contain the permission: exactly, as `family:*`, or as `*`.

    `*` does not reach `system:` permissions: what crosses organizations is never given by a wildcard over everything.
    """
    if permission in scopes:
        return True
    family = permission.partition(":")[0]
    return f"{family}:*" in scopes or ("*" in scopes and family != "system")


def is_scope(scope: str) -> bool:
    """Whether it is a permission, a family with `:*`, or `*`."""
    families = {permission.partition(":")[0] for permission in PERMISSIONS}
    return scope == "*" or scope in PERMISSIONS or (scope.endswith(":*") and scope[:-2] in families)


def covers(scopes: frozenset[str], wanted: str) -> bool:
    """Whether a holder of `scopes` may hand on the scope `wanted`: nobody grants what they do not hold."""
    return all(allows(scopes, permission) for permission in PERMISSIONS if allows(frozenset((wanted,)), permission))


def beyond(held: frozenset[str], wanted: Iterable[str]) -> tuple[str, ...]:
    """The scopes of `wanted` that a holder of `held` may not hand on, sorted."""
    return tuple(sorted(scope for scope in set(wanted) if not covers(held, scope)))


def lineage(role_id: str, roles: Mapping[str, Role]) -> tuple[str, ...]:
    """The role and all it inherits, each once, nearest first; unknown ids and cycles end a branch."""
    found: dict[str, None] = {}
    waiting = [role_id]
    while waiting:
        one = waiting.pop(0)
        if one not in found and one in roles:
            found[one] = None
            waiting.extend(roles[one].inherits)
    return tuple(found)


def effective(role_ids: Iterable[str], roles: Mapping[str, Role]) -> frozenset[str]:
    """What these roles come to, inheritance included."""
    return frozenset().union(*(roles[one].permissions for role_id in role_ids for one in lineage(role_id, roles)))


def makes_cycle(role_id: str, inherits: Iterable[str], roles: Mapping[str, Role]) -> bool:
    """Whether the role would inherit itself."""
    return any(role_id in lineage(parent, roles) for parent in inherits)


class Assigned(NamedTuple):
    """A role that somebody has; `team_id` '' is the whole organization."""

    role_id: str
    team_id: str = ""


class Source(NamedTuple):
    """Where a permission comes from: the role `through` was assigned, its ancestor (or itself) `role` holds `scope`."""

    role: str
    through: str
    scope: str
    team_id: str


class Held(NamedTuple):
    """What somebody's roles come to: in the whole organization, and beyond that in single teams."""

    scopes: frozenset[str]
    teams: Mapping[str, frozenset[str]]


def held(assigned: Iterable[Assigned], roles: Mapping[str, Role]) -> Held:
    """What these assignments come to, inheritance included."""
    by_team: dict[str, list[str]] = {}
    for role_id, team_id in assigned:
        by_team.setdefault(team_id, []).append(role_id)
    everywhere = effective(by_team.pop("", ()), roles)
    return Held(everywhere, {team: effective(role_ids, roles) for team, role_ids in by_team.items()})


def sources(permission: str, assigned: Iterable[Assigned], roles: Mapping[str, Role]) -> tuple[Source, ...]:
    """Every way in which these assignments give the permission; empty: they do not."""
    return tuple(
        Source(one, role_id, scope, team_id)
        for role_id, team_id in assigned
        for one in lineage(role_id, roles)
        for scope in sorted(roles[one].permissions)
        if allows(frozenset((scope,)), permission)
    )


def matrix(roles: Iterable[Role], known: Mapping[str, Role]) -> dict[str, tuple[str, ...]]:
    """Permission to the ids of the roles that give it, inheritance included."""
    held = {role.id: effective((role.id,), known) for role in roles}
    return {
        permission: tuple(role_id for role_id, scopes in held.items() if allows(scopes, permission))
        for permission in PERMISSIONS
    }


def rate_class(scopes: frozenset[str]) -> str:
    """The highest system role all of whose permissions are held: how often its holder may ask."""
    for name in reversed(RATE_CLASSES):
        if all(allows(scopes, permission) for permission in effective((name,), SYSTEM_ROLES)):
            return name
    return RATE_CLASSES[0]
