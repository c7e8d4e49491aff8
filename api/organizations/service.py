"""Makes organizations and keys, and says so: rows and facts in one transaction, by the outbox."""

from datetime import datetime
from typing import Final

from api.core.keyring import Keyring
from api.core.paging import Page, Pagination
from api.core.principal import Principal
from api.deps import Deps
from api.organizations.schemas import KeyIn, KeyOut, OrganizationIn, OrganizationOut
from contracts import catalog, topics
from contracts.errors import Invalid, NotFound, PermissionDenied, Problem
from contracts.events.auth import KeyCreatedV1, KeyRevokedV1
from contracts.events.base import SYSTEM_SOURCE, EventData
from contracts.rules.access import covers
from infra.crypto import hash_api_key, new_api_key
from infra.ids import new_id
from infra.postgres import keys
from infra.postgres.database import Tx
from producers import outbox

SOURCE: Final = SYSTEM_SOURCE + "/keys"
ANY_ORGANIZATION: Final = "system:any_organization"


async def create_organization(deps: Deps, wanted: OrganizationIn) -> OrganizationOut:
    """The new organization."""
    row = keys.OrganizationRow(new_id("org"), wanted.name, deps.clock.now())
    async with deps.database.transaction() as tx:
        await keys.save_organization(tx, row)
    return OrganizationOut(**row._asdict())


async def list_organizations(deps: Deps, who: Principal, page: Page) -> tuple[list[OrganizationOut], Pagination]:
    """The own organization; all of them for a key that may see them."""
    only = None if who.may("system:organizations") else who.organization_id
    async with deps.database.transaction() as tx:
        rows = await keys.list_organizations(tx, only=only, after=_after(page), limit=page.fetch)
    shown, pagination = page.cut(rows, lambda row: (row.created_at, row.id))
    return [OrganizationOut(**row._asdict()) for row in shown], pagination


async def create_key(deps: Deps, keyring: Keyring, who: Principal, wanted: KeyIn) -> KeyOut:
    """The new key, in clear this once. Raises: PermissionDenied for scopes that the maker does not hold."""
    for index, scope in enumerate(wanted.scopes):
        if not covers(who.scopes, scope):
            problem = Problem(f"/scopes/{index}", "permission_denied", f"you do not hold {scope} yourself")
            raise PermissionDenied("Nobody grants what they do not hold.", problems=(problem,))
    organization = await _organization(keyring, who, wanted.organization_id)
    now, secret = deps.clock.now(), new_api_key()
    hint = f"{secret[:15]}...{secret[-4:]}"
    row = keys.KeyRow(new_id("key"), organization, wanted.name, hint, wanted.scopes, now, wanted.expires_at, None)
    fact = KeyCreatedV1(key_id=row.id, name=row.name, scopes=tuple(row.scopes), actor=who.id)
    async with deps.database.transaction() as tx:
        await keys.save_key(tx, row, hash_api_key(secret, deps.key_pepper))
        await _tell(tx, organization, fact, f"{row.id}/created", now)
    return KeyOut(**row._asdict(), key=secret)


async def revoke_key(deps: Deps, who: Principal, key_id: str, reason: str | None) -> KeyOut:
    """The revoked key; refused everywhere within a second. Revoking again changes nothing. Raises: NotFound."""
    now = deps.clock.now()
    async with deps.database.transaction() as tx:
        row = await keys.revoke_key(tx, who.organization_id, key_id, now)
        if row is None:
            raise NotFound("This organization has no such key.")
        if row.revoked_at == now:
            fact = KeyRevokedV1(key_id=key_id, reason=reason, actor=who.id)
            await _tell(tx, who.organization_id, fact, f"{key_id}/revoked", now)
    return KeyOut(**row._asdict())


async def list_keys(deps: Deps, who: Principal, page: Page) -> tuple[list[KeyOut], Pagination]:
    """The organization's keys, the newest first."""
    async with deps.database.transaction() as tx:
        rows = await keys.list_keys(tx, who.organization_id, after=_after(page), limit=page.fetch)
    shown, pagination = page.cut(rows, lambda row: (row.created_at, row.id))
    return [KeyOut(**row._asdict()) for row in shown], pagination


async def _organization(keyring: Keyring, who: Principal, organization: str | None) -> str:
    if organization is None or organization == who.organization_id:
        return who.organization_id
    who.require(ANY_ORGANIZATION)
    if not await keyring.organization_exists(organization):
        problem = Problem("/organization_id", "unknown_organization", "is not an organization")
        raise Invalid("There is no such organization.", problems=(problem,))
    return organization


async def _tell(tx: Tx, organization: str, fact: EventData, event_id: str, now: datetime) -> None:
    envelope = catalog.state(fact, event_id=event_id, source=SOURCE, organization=organization, now=now)
    await outbox.save(tx, topics.AUTH, organization, [catalog.encode(envelope)])


def _after(page: Page) -> tuple[datetime, str] | None:
    return None if page.after is None else (page.after[0], page.after[1])
