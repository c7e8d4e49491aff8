"""Which permissions there are, and what a key's scopes allow."""

from typing import Final

PUBLIC: Final = "public"
"""Says that a route needs no key."""

PERMISSIONS: Final[dict[str, str]] = {
    "events:write": "Send usage events",
    "events:read": "Follow an event's journey",
    "credits:read": "Read balance and statement",
    "credits:grant": "Grant, adjust and refund credits",
    "analytics:read": "Read usage analytics",
    "webhooks:read": "Read webhook endpoints and deliveries",
    "webhooks:write": "Change webhook endpoints, retry deliveries",
    "deadletters:read": "Browse dead letters",
    "deadletters:write": "Re-drive and drop dead letters",
    "organizations:read": "Read the organization",
    "keys:read": "List API keys",
    "keys:write": "Create and revoke API keys",
    "auth:write": "State auth events",
    "system:organizations": "Create organizations and list all of them",
    "system:reconcile": "Compare the books and re-drive what is missing",
    "system:any_organization": "Act for any organization",
}


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
