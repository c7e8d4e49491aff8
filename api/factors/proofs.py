"""One proof of a second factor, whichever it is."""

from api.core.visits import Visit
from api.factors import assertions, recovery, totp
from api.factors.outcomes import Outcome
from api.factors.schemas import Proof
from infra.postgres.database import Tx


async def prove(tx: Tx, visit: Visit, user_id: str, proof: Proof, challenge: bytes) -> Outcome:
    """What became of it; what is good once is used from now on, if the caller commits.

    `challenge` is what a passkey must have signed.
    """
    deps, now = visit.deps, visit.now
    if proof.passkey is not None:
        row = await assertions.find(tx, proof.passkey)
        mine = row if row is not None and row.user_id == user_id else None
        return await assertions.use(tx, visit, mine, proof.passkey, challenge)
    if proof.totp is not None:
        return Outcome("totp", "otp", await totp.use(tx, deps, user_id, proof.totp, now))
    return Outcome("recovery_codes", "otp", await recovery.use(tx, deps, user_id, proof.recovery_code or "", now))
