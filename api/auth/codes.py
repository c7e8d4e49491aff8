"""Six-digit codes by mail that prove an address: made, sent again, handed in."""

import hmac
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

from api.auth.schemas import CodeSent
from api.core.letters import Letter, write
from api.core.newcomers import VERIFY
from api.core.visits import Visit
from contracts.errors import Invalid, Problem, RateLimited
from infra.crypto import new_code, new_secret
from infra.ids import new_id
from infra.postgres import challenges, users
from infra.postgres.challenges import ChallengeRow
from infra.postgres.database import Tx

LIFE: Final = timedelta(minutes=15)
TRIES: Final = 5
SENDS: Final = 3
SENDS_WITHIN: Final = timedelta(hours=1)


class Order(NamedTuple):
    """A code to make: for whom, by mail to which address, and what it is for (`data`).

    `taken`: the address has an account; its owner is told so, and no code fits.
    """

    user_id: str
    email: str
    locale: str
    data: Mapping[str, Any]
    taken: bool = False


async def send_code(tx: Tx, visit: Visit, order: Order) -> CodeSent:
    """Its mail, and the name under which it is handed in; of all answers for one person three an hour.

    Raises: RateLimited, whoever has the address.
    """
    await users.lock_user(tx, order.user_id)
    if await challenges.made_since(tx, VERIFY, order.user_id, visit.now - SENDS_WITHIN) >= SENDS:
        raise too_many()
    challenge_id, code = new_id("chl"), new_code()
    fits = new_secret() if order.taken else code
    digest = visit.hash(f"{VERIFY}/{challenge_id}", fits)
    data = {**order.data, "email": order.email, "locale": order.locale, "taken": order.taken}
    row = ChallengeRow(challenge_id, VERIFY, order.user_id, digest, data, TRIES, visit.now, visit.now + LIFE)
    await challenges.create(tx, row)
    letter = Letter.TAKEN if order.taken else Letter.VERIFY
    await write(tx, visit, letter, to=order.email, locale=order.locale, code=code)
    return CodeSent(verification=challenge_id, expires_in=int(LIFE.total_seconds()))


async def resend(visit: Visit, verification: str) -> CodeSent:
    """A new code for the same; the old one is worth nothing any more. Raises: Invalid, RateLimited."""
    async with visit.deps.database.unscoped() as tx:
        row = await challenges.consume(tx, VERIFY, verification, visit.now)
        if row is None or row.user_id is None:
            raise refused("/verification")
        data = dict(row.data)
        order = Order(row.user_id, data.pop("email"), data.pop("locale"), data, data.pop("taken"))
        return await send_code(tx, visit, order)


async def guess(visit: Visit, verification: str, code: str) -> ChallengeRow:
    """The challenge that the code fits, one try fewer whether it does or not; it is to be consumed. Raises: Invalid."""
    async with visit.deps.database.unscoped() as tx:
        row = await challenges.take_try(tx, VERIFY, verification, visit.now)
    digest = visit.hash(f"{VERIFY}/{verification}", code)
    if row is None or not hmac.compare_digest(row.hash, digest):
        raise refused("/code")
    return row


def refused(pointer: str) -> Invalid:
    """One answer for a wrong code, an expired or used one, and one that never was."""
    problem = Problem(pointer, "code", "is wrong, used, expired, or was tried too often")
    return Invalid("The code does not fit: it is wrong, used, expired, or was tried too often.", problems=(problem,))


def too_many() -> RateLimited:
    """What is told instead of a further mail."""
    seconds = int(SENDS_WITHIN.total_seconds())
    return RateLimited("Three mails an hour are sent to an address; try again later.", retry_after_s=seconds)
