"""Owners: made and unmade by owners; there is always one."""

from api.core.actor import Actor
from api.core.granting import locked_roles
from api.deps import Deps
from api.members import service
from api.members.schemas import MemberOut
from contracts.errors import Conflict, Invalid, PermissionDenied, Problem
from contracts.events.members import OwnerChangedV1
from infra.postgres import members
from infra.postgres.database import Tx


async def make_owner(deps: Deps, actor: Actor, user_id: str) -> MemberOut:
    """The member, an owner now; once more changes nothing. Raises: PermissionDenied, NotFound."""
    async with deps.database.transaction() as tx:
        await _require_owner(tx, actor)
        await service.find(tx, actor.organization_id, user_id)
        actor.require_other(user_id)
        await _set(tx, actor, user_id, True)
        return await service.shown_member(tx, actor.organization_id, user_id)


async def unmake_owner(deps: Deps, actor: Actor, user_id: str) -> MemberOut:
    """The member, a plain one now; also oneself. Raises: PermissionDenied, NotFound, Conflict (the last owner)."""
    async with deps.database.transaction() as tx:
        await _require_owner(tx, actor)
        member = await service.find(tx, actor.organization_id, user_id)
        if member.owner:
            await service.require_another_owner(tx, actor.organization_id)
            await _set(tx, actor, user_id, False)
        return await service.shown_member(tx, actor.organization_id, user_id)


async def transfer(deps: Deps, actor: Actor, user_id: str) -> MemberOut:
    """The new owner; the one who asks is none any more. Raises: PermissionDenied, Conflict (oneself), Invalid."""
    async with deps.database.transaction() as tx:
        await locked_roles(tx, actor.organization_id)
        me = await members.find_member(tx, actor.organization_id, actor.who.user_id)
        if me is None or not me.owner:
            raise _not_an_owner()
        if user_id == actor.id:
            raise Conflict("You are the owner already.")
        if await members.find_member(tx, actor.organization_id, user_id) is None:
            problem = Problem("/user_id", "unknown_member", "is not a member of this organization")
            raise Invalid("There is no such member.", problems=(problem,))
        await _set(tx, actor, user_id, True)
        await _set(tx, actor, actor.id, False)
        return await service.shown_member(tx, actor.organization_id, user_id)


async def _require_owner(tx: Tx, actor: Actor) -> None:
    """Locks the organization. Raises: PermissionDenied."""
    await locked_roles(tx, actor.organization_id)
    if not await service.is_owner(tx, actor):
        raise _not_an_owner()


def _not_an_owner() -> PermissionDenied:
    return PermissionDenied("Only an owner of the organization may do this.", permission="owner")


async def _set(tx: Tx, actor: Actor, user_id: str, owner: bool) -> None:
    if await members.set_owner(tx, actor.organization_id, user_id, owner):
        await actor.tell(tx, OwnerChangedV1(user_id=user_id, owner=owner))
