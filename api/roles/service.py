"""Reads, makes, changes and deletes roles. What changes rights runs with the organization locked: no two at once."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from api.core.actor import Actor
from api.core.changes import changes_of
from api.core.etags import Precondition
from api.core.granting import Roles, known_roles, locked_roles, require_role
from api.core.principal import Principal
from api.deps import Deps
from api.roles.schemas import MatrixRow, RoleChange, RoleIn, RoleOut, TemplateOut
from contracts.errors import Conflict, Invalid, NotFound, Problem
from contracts.events.members import RoleChangedV1, RoleCreatedV1, RoleDeletedV1
from contracts.rules.access import PERMISSIONS, SYSTEM_ROLES, TEMPLATES, Role, beyond, effective, makes_cycle, matrix
from infra.ids import new_id
from infra.postgres import roles as store
from infra.postgres.database import Tx
from infra.postgres.roles import RoleRow

MAX_ROLES: Final = 200


async def list_roles(deps: Deps, who: Principal) -> list[RoleOut]:
    """System roles from the least to the most powerful, then the organization's own by name."""
    async with deps.database.transaction() as tx:
        rows = await store.list_roles(tx, who.organization_id)
    known = _known(rows)
    return [*(_system(role) for role in SYSTEM_ROLES.values()), *(_out(row, known) for row in rows)]


async def read_role(deps: Deps, who: Principal, role_id: str) -> RoleOut:
    """The role. Raises: NotFound, also for another organization's."""
    if role_id in SYSTEM_ROLES:
        return _system(SYSTEM_ROLES[role_id])
    async with deps.database.transaction() as tx:
        row = _found(await store.find_role(tx, who.organization_id, role_id))
        return _out(row, await known_roles(tx, who.organization_id))


async def read_matrix(deps: Deps, who: Principal) -> list[MatrixRow]:
    """Every permission and the roles that give it: system roles first."""
    async with deps.database.transaction() as tx:
        known = await known_roles(tx, who.organization_id)
    ordered = [*SYSTEM_ROLES.values(), *(role for role in known.values() if role.id not in SYSTEM_ROLES)]
    given = matrix(ordered, known)
    return [MatrixRow(permission=one, description=PERMISSIONS[one], roles=list(ids)) for one, ids in given.items()]


def templates() -> list[TemplateOut]:
    """Sets of permissions to start from, by name."""
    return [TemplateOut(name=name, permissions=sorted(scopes)) for name, scopes in sorted(TEMPLATES.items())]


async def create_role(deps: Deps, actor: Actor, wanted: RoleIn) -> RoleOut:
    """The new role. Raises: PermissionDenied (more than the maker holds), Invalid, Conflict (name, too many)."""
    values = wanted.model_dump()
    row = RoleRow(new_id("role"), actor.organization_id, **values, created_at=actor.now, updated_at=actor.now)
    async with deps.database.transaction() as tx:
        roles = await locked_roles(tx, actor.organization_id)
        if len(roles) - len(SYSTEM_ROLES) >= MAX_ROLES:
            raise Conflict(f"This organization has {MAX_ROLES} roles of its own already; delete one first.")
        _require_grantable(actor, row.id, wanted, roles)
        if not await store.save_role(tx, row):
            raise _taken(row.name)
        await actor.tell(tx, RoleCreatedV1(**_fact(row)))
    return _out(row, roles | {row.id: _role(row)})


async def change_role(
    deps: Deps, actor: Actor, role_id: str, wanted: RoleChange, precondition: Precondition
) -> RoleOut:
    """The changed role; whoever adds to it, or takes from it, must hold that.

    Raises: NotFound, Conflict (a system role, a name that is taken), PermissionDenied, Invalid (a cycle, an unknown
    role), PreconditionFailed.
    """
    changes = changes_of(wanted)
    _require_custom(role_id)
    async with deps.database.transaction() as tx:
        roles = await locked_roles(tx, actor.organization_id)
        row = _found(await store.find_role(tx, actor.organization_id, role_id))
        precondition.check(_out(row, roles))
        if changes:
            _require_grantable(actor, role_id, wanted, roles)
            after = effective((role_id,), roles | {role_id: _role(row._replace(**changes))})
            actor.require_held(frozenset(beyond(after, effective((role_id,), roles))), "/permissions")
            await _require_name(tx, actor, changes, role_id)
            row = _found(await store.change_role(tx, actor.organization_id, role_id, changes, actor.now))
            await actor.tell(tx, RoleChangedV1(**_fact(row)))
    return _out(row, roles | {row.id: _role(row)})


async def delete_role(deps: Deps, actor: Actor, role_id: str, precondition: Precondition) -> None:
    """The role is gone. Raises: NotFound, Conflict (a system role, or in use), PreconditionFailed."""
    _require_custom(role_id)
    async with deps.database.transaction() as tx:
        roles = await locked_roles(tx, actor.organization_id)
        row = _found(await store.find_role(tx, actor.organization_id, role_id))
        precondition.check(_out(row, roles))
        if uses := await store.uses_of_role(tx, actor.organization_id, role_id, actor.now):
            raise Conflict(f"The role is in use by {', '.join(sorted(uses)[:5])}; take it away there first.")
        await store.delete_role(tx, actor.organization_id, role_id)
        await actor.tell(tx, RoleDeletedV1(role_id=role_id, name=row.name))


def _require_grantable(actor: Actor, role_id: str, wanted: RoleIn | RoleChange, roles: Roles) -> None:
    """Returns when the role inherits known roles, not itself, and adds nothing that the actor does not hold.

    Raises: Invalid, PermissionDenied, with pointers.
    """
    before = effective((role_id,), roles)
    for index, scope in enumerate(wanted.permissions or ()):
        actor.require_held(frozenset(beyond(before, (scope,))), f"/permissions/{index}")
    for index, parent in enumerate(wanted.inherits or ()):
        at = f"/inherits/{index}"
        if parent == role_id or makes_cycle(role_id, (parent,), roles):
            problem = Problem(at, "cycle", "inherits this role itself")
            raise Invalid("A role cannot inherit itself, by no way round.", problems=(problem,))
        require_role(roles, parent, at)
        actor.require_held(frozenset(beyond(before, effective((parent,), roles))), at)


def _require_custom(role_id: str) -> None:
    if role_id in SYSTEM_ROLES:
        raise Conflict("System roles are the same everywhere: make a role that inherits this one instead.")


async def _require_name(tx: Tx, actor: Actor, changes: Mapping[str, Any], role_id: str) -> None:
    name = changes.get("name")
    if name is not None and await store.name_is_taken(tx, actor.organization_id, name, besides=role_id):
        raise _taken(name)


def _taken(name: str) -> Conflict:
    return Conflict(f"This organization has a role named {name} already.")


def _found(row: RoleRow | None) -> RoleRow:
    if row is None:
        raise NotFound("This organization has no such role.")
    return row


def _known(rows: Sequence[RoleRow]) -> Roles:
    return {**{row.id: _role(row) for row in rows}, **SYSTEM_ROLES}


def _role(row: RoleRow) -> Role:
    return Role(row.id, row.name, row.description, frozenset(row.permissions), tuple(row.inherits))


def _fact(row: RoleRow) -> dict[str, Any]:
    about = {"role_id": row.id, "name": row.name}
    return about | {"permissions": tuple(row.permissions), "inherits": tuple(row.inherits)}


def _system(role: Role) -> RoleOut:
    return _shown(role, SYSTEM_ROLES, kind="system", created_at=None, updated_at=None)


def _out(row: RoleRow, known: Mapping[str, Role]) -> RoleOut:
    return _shown(_role(row), known, kind="custom", created_at=row.created_at, updated_at=row.updated_at)


def _shown(role: Role, known: Mapping[str, Role], **about: Any) -> RoleOut:
    return RoleOut(
        id=role.id,
        name=role.name,
        description=role.description,
        permissions=sorted(role.permissions),
        inherits=list(role.inherits),
        effective=sorted(effective((role.id,), known)),
        **about,
    )
