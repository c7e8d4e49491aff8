"""Makes, reads and changes organizations."""

from typing import Final

from api.core.actor import Actor
from api.core.changes import changes_of
from api.core.etags import Precondition
from api.core.paging import Page, Pagination
from api.core.principal import ANY_ORGANIZATION, Principal
from api.deps import Deps
from api.organizations.schemas import MembershipOut, NewOrganization, OrganizationChange, OrganizationOut
from contracts.errors import Conflict, NotFound
from contracts.events.members import MemberJoinedV1, OrganizationChangedV1, OrganizationCreatedV1
from infra.ids import new_id
from infra.postgres import keys, members
from infra.postgres import organizations as store
from infra.postgres.keys import OrganizationRow

MAX_OWNED: Final = 100
PLATFORM: Final = "system:organizations"


async def create_organization(deps: Deps, actor: Actor, wanted: NewOrganization) -> OrganizationOut:
    """The new organization; nobody belongs to it."""
    row = OrganizationRow(new_id("org"), wanted.name, actor.now)
    async with deps.database.unscoped() as tx:  # no organization's own: the maker is platform staff
        await keys.save_organization(tx, row)
        await actor.tell(tx, OrganizationCreatedV1(organization_id=row.id), organization_id=row.id)
    return _out(row)


async def create_own(deps: Deps, actor: Actor, wanted: NewOrganization) -> OrganizationOut:
    """The new organization, of which the person is the owner. Raises: Conflict when they own too many."""
    row, user_id = OrganizationRow(new_id("org"), wanted.name, actor.now), actor.who.user_id
    async with deps.database.unscoped() as tx:  # another organization than the one that they act for
        if sum(one.owner for one in await members.memberships_of(tx, user_id)) >= MAX_OWNED:
            raise Conflict(f"You own {MAX_OWNED} organizations already; hand one on first.")
        await keys.save_organization(tx, row)
        await members.save_member(tx, row.id, user_id, owner=True, now=actor.now)
        await actor.tell(tx, OrganizationCreatedV1(organization_id=row.id, owner=user_id), organization_id=row.id)
        await actor.tell(tx, MemberJoinedV1(user_id=user_id), organization_id=row.id)
    return _out(row)


async def list_own(deps: Deps, who: Principal) -> list[MembershipOut]:
    """Every organization that the person belongs to, by name."""
    async with deps.database.unscoped() as tx:  # a person's own, across organizations
        rows = await members.memberships_of(tx, who.user_id)
    return [MembershipOut.model_validate(row._asdict()) for row in rows]


async def list_organizations(deps: Deps, who: Principal, page: Page) -> tuple[list[OrganizationOut], Pagination]:
    """The own organization; all of them for platform staff."""
    only = None if who.may(PLATFORM) else who.organization_id
    async with deps.database.transaction() as tx:
        rows, total = await keys.list_organizations(tx, only=only, window=page.window)
    shown, pagination = page.cut(rows, lambda row: (row.created_at, row.id), total=total)
    return [_out(row) for row in shown], pagination


async def read_organization(deps: Deps, who: Principal, organization_id: str) -> OrganizationOut:
    """The organization. Raises: NotFound, also for another one."""
    _require_own(who, organization_id)
    async with deps.database.transaction() as tx:
        return _out(_found(await store.find_organization(tx, organization_id)))


async def change_organization(
    deps: Deps, actor: Actor, organization_id: str, wanted: OrganizationChange, precondition: Precondition
) -> OrganizationOut:
    """The changed organization. Raises: NotFound, PermissionDenied (the plan), PreconditionFailed, Invalid."""
    _require_own(actor.who, organization_id)
    changes = changes_of(wanted)
    if "plan" in changes:
        actor.who.require(PLATFORM)
    if wanted.policy is not None:
        changes["policy"] = wanted.policy.model_dump(exclude_unset=True, exclude_none=True)
    async with deps.database.transaction() as tx:
        row = _found(await store.lock_organization(tx, organization_id))
        precondition.check(_out(row))
        if changes:
            row = _found(await store.change_organization(tx, organization_id, changes, actor.now))
            fact = OrganizationChangedV1(organization_id=organization_id, changed=tuple(sorted(changes)))
            await actor.tell(tx, fact, organization_id=organization_id)
    return _out(row)


def _require_own(who: Principal, organization_id: str) -> None:
    if organization_id != who.organization_id and not who.may(ANY_ORGANIZATION):
        raise _missing()


def _found(row: OrganizationRow | None) -> OrganizationRow:
    if row is None:
        raise _missing()
    return row


def _missing() -> NotFound:
    return NotFound("There is no such organization.")


def _out(row: OrganizationRow) -> OrganizationOut:
    return OrganizationOut.model_validate(row._asdict())
