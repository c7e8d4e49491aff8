"""What the factors have in common: who may change them, what is said of it, and which there are."""

from datetime import datetime, timedelta
from typing import Final

from api.core.facts import tell
from api.core.persons import person_sealers
from api.core.principal import Principal
from api.core.request_ids import Context
from api.deps import Deps
from api.factors import recovery
from contracts.events.auth import AuthFact, FactorEnrolledV1, FactorKind, FactorRemovedV1
from infra.postgres import factors as store
from infra.postgres import users
from infra.postgres.database import Tx
from infra.postgres.factors import Factors

FIRST_WITHIN: Final = timedelta(minutes=30)
"""How long after a log-in the first factor may be set up without proving again who one is."""


async def lock_for_change(tx: Tx, who: Principal, now: datetime) -> Factors:
    """What the person has, locked; returns when they may change it."""
    await users.lock_user(tx, who.user_id)
    found = await store.factors_of(tx, who.user_id)
    if found.any or who.login is None or now - who.login.authenticated_at > FIRST_WITHIN:
        who.require_step_up(now)
    return found


async def enrolled(
    tx: Tx, deps: Deps, context: Context, who: Principal, kind: FactorKind, before: Factors, now: datetime
) -> list[str] | None:
    """States that a factor was set up; recovery codes, if it is the person's first."""
    await say(tx, deps, context, who, FactorEnrolledV1(user_id=who.user_id, factor=kind, actor=who.user_id), now)
    return None if before.any else await new_codes(tx, deps, context, who, now)


async def new_codes(tx: Tx, deps: Deps, context: Context, who: Principal, now: datetime) -> list[str]:
    """Ten fresh recovery codes; those before are void."""
    codes = await recovery.replace(tx, deps, who.user_id, now)
    fact = FactorEnrolledV1(user_id=who.user_id, factor="recovery_codes", actor=who.user_id)
    await say(tx, deps, context, who, fact, now)
    return codes


async def removed(tx: Tx, deps: Deps, context: Context, who: Principal, kind: FactorKind, now: datetime) -> None:
    """States that a factor is gone; with the last one recovery codes and trusted devices go too."""
    await say(tx, deps, context, who, FactorRemovedV1(user_id=who.user_id, factor=kind, actor=who.user_id), now)
    if not (await store.factors_of(tx, who.user_id)).any:
        await store.delete_recovery_codes(tx, who.user_id)


async def say(tx: Tx, deps: Deps, context: Context, who: Principal, fact: AuthFact, now: datetime) -> None:
    """States the fact about the person who asks."""
    sealers = await person_sealers(tx, deps.sealer, (who.user_id,))
    await tell(tx, context, who.organization_id, fact, now=now, sealer=sealers.get(who.user_id), subject=who.user_id)
