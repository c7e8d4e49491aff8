"""The roles of an organization, read while nobody changes them: what granting stands on."""

from contracts.errors import Invalid, NotFound, Problem
from contracts.rules.access import SYSTEM_ROLES, Role
from infra.postgres import access
from infra.postgres.database import Tx
from infra.postgres.organizations import lock_organization

Roles = dict[str, Role]


async def known_roles(tx: Tx, organization_id: str) -> Roles:
    """The system's and the organization's roles, by id."""
    return {**await access.custom_roles(tx, organization_id), **SYSTEM_ROLES}


async def locked_roles(tx: Tx, organization_id: str) -> Roles:
    """The same; until the commit nobody else changes rights in this organization. Raises: NotFound."""
    if await lock_organization(tx, organization_id) is None:
        raise NotFound("There is no such organization.")
    return await known_roles(tx, organization_id)


def require_role(roles: Roles, role_id: str, at: str) -> Role:
    """The role that a body names. Raises: Invalid, with pointer."""
    if role_id not in roles:
        problem = Problem(at, "unknown_role", f"{role_id} is not a role of this organization")
        raise Invalid("There is no such role.", problems=(problem,))
    return roles[role_id]
