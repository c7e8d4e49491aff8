"""Passkeys: made, listed, renamed, deleted, used."""

from typing import Final

from api.core.principal import Principal
from api.core.visits import Visit
from api.core.ways_in import keep_a_way_in
from api.factors import service, webauthn
from api.factors.asking import ask, asked, party, signed
from api.factors.schemas import PasskeyAsked, PasskeyCreated, PasskeyIn, PasskeyOut
from contracts.errors import Conflict, Invalid, NotFound, Problem
from infra.ids import new_id
from infra.postgres import passkeys as store
from infra.postgres import users
from infra.postgres.passkeys import PasskeyRow

MAX_PASSKEYS: Final = 20
REGISTRATION: Final = "passkey_registration"
"""The purpose of a challenge that makes a passkey."""


async def begin(visit: Visit, who: Principal) -> PasskeyAsked:
    """What the browser needs to make a passkey. Raises: StepUpRequired, Conflict when there are too many."""
    async with visit.deps.database.unscoped() as tx:
        await service.lock_for_change(tx, visit, who)
        known = await store.passkeys_of(tx, who.user_id)
        user = await users.find_user(tx, who.user_id)
        if user is None or len(known) >= MAX_PASSKEYS:
            raise Conflict(f"You have {MAX_PASSKEYS} passkeys already; delete one first.")
        secret = await ask(tx, visit.deps, REGISTRATION, who.user_id, visit.now)
    options = webauthn.creation_options(party(visit.deps), user, signed(visit.deps, secret), known)
    return PasskeyAsked(challenge=secret, options=options)


async def create(visit: Visit, who: Principal, wanted: PasskeyIn) -> PasskeyCreated:
    """The new passkey, and recovery codes if it is the person's first factor.

    Raises: Invalid (an answer to something else, or to nothing that we asked), Conflict (known), StepUpRequired.
    """
    made = webauthn.registered(party(visit.deps), wanted.credential.plain(), signed(visit.deps, wanted.challenge))
    async with visit.deps.database.unscoped() as tx:
        before = await service.lock_for_change(tx, visit, who)
        challenge = await asked(tx, visit.deps, REGISTRATION, wanted.challenge, visit.now)
        if made is None or challenge is None or challenge.user_id != who.user_id:
            problem = Problem("/credential", "passkey", "does not answer this challenge, or it was used or is too old")
            raise Invalid("The passkey is refused; begin again.", problems=(problem,))
        transports = wanted.credential.response.transports
        row = PasskeyRow(made.credential_id, new_id("pk"), who.user_id, made.public_key, made.sign_count,
                         transports, made.backed_up, wanted.name, visit.now)  # fmt: skip
        if not await store.save_passkey(tx, row):
            raise Conflict("This passkey is known already.")
        codes = await service.enrolled(tx, visit, who, "passkey", before)
    return PasskeyCreated(**shown(row).model_dump(), recovery_codes=codes)


async def listed(visit: Visit, who: Principal) -> list[PasskeyOut]:
    """The person's passkeys, the oldest first."""
    async with visit.deps.database.unscoped() as tx:
        return [shown(row) for row in await store.passkeys_of(tx, who.user_id)]


async def rename(visit: Visit, who: Principal, passkey_id: str, name: str) -> PasskeyOut:
    """The passkey under its new name. Raises: NotFound."""
    async with visit.deps.database.unscoped() as tx:
        row = await store.rename_passkey(tx, who.user_id, passkey_id, name)
    if row is None:
        raise NotFound("You have no such passkey.")
    return shown(row)


async def remove(visit: Visit, who: Principal, passkey_id: str) -> None:
    """It opens nothing any more. Raises: NotFound, Conflict for the last way to log in, StepUpRequired."""
    async with visit.deps.database.unscoped() as tx:
        await service.lock_for_change(tx, visit, who)
        if not await store.delete_passkey(tx, who.user_id, passkey_id):
            raise NotFound("You have no such passkey.")
        await keep_a_way_in(tx, who.user_id)
        await service.removed(tx, visit, who, "passkey")


def shown(row: PasskeyRow) -> PasskeyOut:
    """The passkey as its owner sees it."""
    return PasskeyOut(
        id=row.id, name=row.name, created_at=row.created_at, last_used_at=row.last_used_at, backed_up=row.backed_up
    )
