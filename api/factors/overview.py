"""Which second factors a person has, and their recovery codes."""

from api.core.principal import Principal
from api.core.visits import Visit
from api.factors import service
from api.factors.schemas import FactorsOut, RecoveryCodesOut
from contracts.errors import Conflict
from infra.postgres import factors as store


async def read(visit: Visit, who: Principal) -> FactorsOut:
    """What is set up."""
    async with visit.deps.database.unscoped() as tx:
        found = await store.factors_of(tx, who.user_id)
    return FactorsOut(
        totp=found.totp,
        passkeys=found.passkeys,
        recovery_codes_left=found.recovery_codes,
    )


async def new_codes(visit: Visit, who: Principal) -> RecoveryCodesOut:
    """Fresh recovery codes; those before are void. Raises: Conflict without a factor, StepUpRequired."""
    async with visit.deps.database.unscoped() as tx:
        if not (await service.lock_for_change(tx, visit, who)).any:
            raise Conflict(
                "Recovery codes stand in for a second factor: set up an authenticator app or a passkey first."
            )
        return RecoveryCodesOut(recovery_codes=await service.new_codes(tx, visit, who))
