"""Makes, changes, rotates and revokes keys, and says so: rows and facts in one transaction, by the outbox."""

from datetime import datetime, timedelta

from api.core.actor import Actor
from api.core.changes import changes_of
from api.core.etags import Precondition
from api.core.keyring import Keyring
from api.core.paging import Page, Pagination
from api.core.principal import ANY_ORGANIZATION, Principal
from api.deps import Deps
from api.keys.schemas import KeyChange, KeyIn, KeyOut, KeySeen
from contracts.errors import Conflict, Invalid, NotFound, PermissionDenied, Problem
from contracts.events.auth import KeyChangedV1, KeyCreatedV1, KeyRevokedV1, KeyRotatedV1
from contracts.rules.access import covers
from infra.crypto import KEY_PREFIX, SERVICE_PREFIX, hash_api_key, new_api_key
from infra.ids import new_id
from infra.postgres import keys
from infra.postgres.database import Tx
from infra.postgres.keys import KeyRow


async def create_key(deps: Deps, keyring: Keyring, actor: Actor, wanted: KeyIn) -> KeyOut:
    """The new key, in clear this once. Raises: PermissionDenied for scopes that the maker does not hold, Invalid."""
    _require_scopes(actor.who, wanted.scopes, "/scopes")
    if wanted.kind == "service":
        actor.who.require("system:services")
    _require_future(wanted.expires_at, actor.now)
    organization = await _organization(keyring, actor.who, wanted.organization_id)
    secret = new_api_key(SERVICE_PREFIX if wanted.kind == "service" else KEY_PREFIX)
    row = KeyRow(
        new_id("key"),
        organization,
        wanted.name,
        _hint(secret),
        wanted.scopes,
        actor.now,
        wanted.expires_at,
        None,
        wanted.kind,
        wanted.allowed_networks,
        created_by=actor.who.made_by or actor.id,
    )
    fact = KeyCreatedV1(key_id=row.id, name=row.name, scopes=tuple(row.scopes))
    async with deps.database.transaction() as tx:
        await keys.save_key(tx, row, hash_api_key(secret, deps.key_pepper))
        await actor.tell(tx, fact, organization_id=organization)
    return _out(row, key=secret)


async def list_keys(deps: Deps, who: Principal, page: Page) -> tuple[list[KeySeen], Pagination]:
    """The organization's keys, the newest first."""
    async with deps.database.transaction() as tx:
        rows, total = await keys.list_keys(tx, who.organization_id, page.window)
    shown, pagination = page.cut(rows, lambda row: (row.created_at, row.id), total=total)
    return [KeySeen.model_validate(row._asdict()) for row in shown], pagination


async def read_key(deps: Deps, who: Principal, key_id: str) -> KeyOut:
    """The key. Raises: NotFound, also for another organization's."""
    async with deps.database.transaction() as tx:
        row = await keys.find_key_of(tx, who.organization_id, key_id)
    return _out(_found(row))


async def change_key(deps: Deps, actor: Actor, key_id: str, wanted: KeyChange, precondition: Precondition) -> KeyOut:
    """The changed key. Who widens where or how long it works must hold what it may do.

    Raises: NotFound, Conflict (revoked), PermissionDenied, PreconditionFailed, Invalid.
    """
    changes = changes_of(wanted, nullable=("expires_at",))
    _require_future(changes.get("expires_at"), actor.now)
    async with deps.database.transaction() as tx:
        row = await _usable(tx, actor, key_id)
        precondition.check(_out(row))
        if changes.keys() & {"expires_at", "allowed_networks"}:
            _require_scopes(actor.who, row.scopes, "")
        if changes:
            row = await keys.change_key(tx, actor.organization_id, key_id, changes)
            await actor.tell(tx, KeyChangedV1(key_id=key_id, changed=tuple(sorted(changes))))
    return _out(row)


async def rotate_key(deps: Deps, actor: Actor, key_id: str, overlap_hours: int) -> KeyOut:
    """The key with its new secret, in clear this once: so whoever asks must hold what the key may do.

    Raises: NotFound, Conflict (revoked or expired), PermissionDenied.
    """
    until = actor.now + timedelta(hours=overlap_hours)
    async with deps.database.transaction() as tx:
        row = await _usable(tx, actor, key_id)
        if row.expires_at is not None and row.expires_at <= actor.now:
            raise Conflict("The key has expired: make a new one.")
        _require_scopes(actor.who, row.scopes, "")
        secret = new_api_key(SERVICE_PREFIX if row.kind == "service" else KEY_PREFIX)
        digest = hash_api_key(secret, deps.key_pepper)
        row = await keys.rotate_key(
            tx, actor.organization_id, key_id, digest, _hint(secret), until=until, now=actor.now
        )
        await actor.tell(tx, KeyRotatedV1(key_id=key_id, previous_until=until))
    return _out(row, key=secret)


async def revoke_key(deps: Deps, actor: Actor, key_id: str, reason: str | None) -> KeyOut:
    """The revoked key; refused everywhere within a second. Revoking again changes nothing. Raises: NotFound."""
    async with deps.database.transaction() as tx:
        before = _found(await keys.find_key_of(tx, actor.organization_id, key_id, lock=True))
        if before.revoked_at is not None:
            return _out(before)
        row = _found(await keys.revoke_key(tx, actor.organization_id, key_id, actor.now))
        await actor.tell(tx, KeyRevokedV1(key_id=key_id, reason=reason))
    return _out(row)


async def _usable(tx: Tx, actor: Actor, key_id: str) -> KeyRow:
    """The key, locked. Raises: NotFound, Conflict."""
    row = _found(await keys.find_key_of(tx, actor.organization_id, key_id, lock=True))
    if row.revoked_at is not None:
        raise Conflict("The key was revoked: make a new one.")
    return row


async def _organization(keyring: Keyring, who: Principal, organization: str | None) -> str:
    if organization is None or organization == who.organization_id:
        return who.organization_id
    who.require(ANY_ORGANIZATION)
    if not await keyring.organization_exists(organization):
        problem = Problem("/organization_id", "unknown_organization", "is not an organization")
        raise Invalid("There is no such organization.", problems=(problem,))
    return organization


def _require_scopes(who: Principal, scopes: list[str], at: str) -> None:
    problems = tuple(
        Problem(f"{at}/{index}" if at else "", "permission_denied", f"you do not hold {scope} yourself")
        for index, scope in enumerate(scopes)
        if not covers(who.scopes, scope)
    )
    if problems:
        raise PermissionDenied("Nobody grants what they do not hold.", problems=problems[:20])


def _require_future(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        problem = Problem("/expires_at", "in_the_past", "is over already")
        raise Invalid("The expiry is in the past; to end a key now, revoke it.", problems=(problem,))


def _found(row: KeyRow | None) -> KeyRow:
    if row is None:
        raise NotFound("This organization has no such key.")
    return row


def _hint(secret: str) -> str:
    return f"{secret[:15]}...{secret[-4:]}"


def _out(row: KeyRow, *, key: str | None = None) -> KeyOut:
    return KeyOut.model_validate({**row._asdict(), "key": key})
