"""What the factors have in common: who may change them, what is said of it, and which there are."""

from datetime import timedelta
from typing import Final

from api.core.person_facts import say
from api.core.principal import Principal
from api.core.visits import Visit
from api.factors import recovery
from contracts.events.auth import FactorEnrolledV1, FactorKind, FactorRemovedV1
from infra.postgres import devices, users
from infra.postgres import factors as store
from infra.postgres.database import Tx
from infra.postgres.factors import Factors

FIRST_WITHIN: Final = timedelta(minutes=30)
"""How long after a log-in the first factor may be set up without proving again who one is."""


async def lock_for_change(tx: Tx, visit: Visit, who: Principal) -> Factors:
    """What the person has, locked; returns when they may change it."""
    await users.lock_user(tx, who.user_id)
    found = await store.factors_of(tx, who.user_id)
    if found.any or who.login is None or visit.now - who.login.authenticated_at > FIRST_WITHIN:
        who.require_step_up(visit.now)
    return found


async def enrolled(tx: Tx, visit: Visit, who: Principal, kind: FactorKind, before: Factors) -> list[str] | None:
    """States that a factor was set up; recovery codes, if it is the person's first."""
    await say(
        tx,
        visit,
        who.organization_id,
        who.user_id,
        FactorEnrolledV1(user_id=who.user_id, factor=kind, actor=who.user_id),
    )
    return None if before.any else await new_codes(tx, visit, who)


async def new_codes(tx: Tx, visit: Visit, who: Principal) -> list[str]:
    """Ten fresh recovery codes; those before are void."""
    codes = await recovery.replace(tx, visit.deps, who.user_id, visit.now)
    fact = FactorEnrolledV1(user_id=who.user_id, factor="recovery_codes", actor=who.user_id)
    await say(tx, visit, who.organization_id, who.user_id, fact)
    return codes


async def removed(tx: Tx, visit: Visit, who: Principal, kind: FactorKind) -> None:
    """States that a factor is gone; with the last one recovery codes and trusted devices go too."""
    await say(
        tx,
        visit,
        who.organization_id,
        who.user_id,
        FactorRemovedV1(user_id=who.user_id, factor=kind, actor=who.user_id),
    )
    if not (await store.factors_of(tx, who.user_id)).any:
        await store.delete_recovery_codes(tx, who.user_id)
        await devices.distrust(tx, who.user_id)
