"""What became of a try to prove something, and how tries are counted."""

from typing import NamedTuple

from api.core import throttle
from api.core.person_facts import say
from api.core.visits import Visit
from contracts.events.auth import FactorFailedV1, FactorKind, UserLockedV1
from infra.postgres import devices
from infra.postgres.database import Tx


class Outcome(NamedTuple):
    """`method` as RFC 8176 names it; `refused` says why, None: proved."""

    factor: FactorKind
    method: str
    refused: str | None


async def subject_of(tx: Tx, visit: Visit, user_id: str) -> str:
    """Whose failures count: the person's, whatever challenge they belong to, or else a new log-in gave fresh tries.

    Devices that the person logged in from count by themselves: a stranger who has the password locks nobody out.
    """
    digest = visit.device_hash
    if digest is None or await devices.find_device(tx, digest, user_id) is None:
        return throttle.person_of(user_id)
    return throttle.person_of(f"{user_id}/{digest.hex()[:32]}")


async def say_failed(
    tx: Tx, visit: Visit, organization_id: str, user_id: str, outcome: Outcome, subject: str | None = None
) -> None:
    """States that a factor was wrong, or was used before, and counts it; the caller commits before they refuse.

    Without a subject it is not counted: nobody guesses a signature. Raises: RateLimited when it came too early.
    """
    until = None if subject is None else await throttle.failed(tx, (subject,), visit.now)
    fact = FactorFailedV1(user_id=user_id, factor=outcome.factor, reason=outcome.refused or "wrong", actor=user_id)
    await say(tx, visit, organization_id, user_id, fact)
    if until is not None:
        await say(tx, visit, organization_id, user_id, UserLockedV1(user_id=user_id, until=until))
