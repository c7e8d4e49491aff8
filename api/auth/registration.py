"""Registering: a person with an organization of their own, who can log in once their address is proved.

The answer is the same for an address that has an account. Until an address is proved, every registration of it has its
own code, and the code brings its own password: nobody can set a password in advance for an account that another proves.
"""

from typing import Any

from api.auth import codes
from api.auth.codes import Order, send_code
from api.auth.schemas import CodeSent, RegisterIn
from api.core import facts
from api.core.deadlines import ANSWERS_AFTER_S, no_sooner_than
from api.core.login_schemas import PersonOut, person_out
from api.core.newcomers import VERIFY, settle, welcome
from api.core.persons import person_sealers
from api.core.secrets import accept_password
from api.core.visits import Visit
from contracts.events.auth import UserUpdatedV1
from infra.ids import new_id
from infra.postgres import challenges, users
from infra.postgres.database import Tx
from infra.postgres.users import UserRow


async def register(visit: Visit, wanted: RegisterIn) -> CodeSent:
    """A code is on its way. Raises: Invalid (a password that is not taken), RateLimited, DatabaseUnavailable."""
    password = accept_password(visit, wanted.password, known=(wanted.email, wanted.name or ""), alone=True)
    digest = await visit.passwords.hash(password)
    data = {"password_hash": digest, "name": wanted.name}
    async with no_sooner_than(ANSWERS_AFTER_S), visit.deps.database.unscoped() as tx:
        user = await _person(tx, visit, wanted, digest)
        taken = user.email_verified_at is not None or user.status != "active"
        return await send_code(tx, visit, Order(user.id, wanted.email, wanted.locale, {} if taken else data, taken))


async def verify(visit: Visit, verification: str, code: str) -> PersonOut:
    """The person whose address is proved now; of any number of right codes at once, one. Raises: Invalid."""
    await codes.guess(visit, verification, code)
    async with visit.deps.database.unscoped() as tx:
        row = await challenges.consume(tx, VERIFY, verification, visit.now)
        if row is None or row.user_id is None:
            raise codes.refused("/code")
        await users.lock_user(tx, row.user_id)
        before = await users.find_user(tx, row.user_id)
        if before is None:
            raise codes.refused("/code")
        if row.data.get("moves"):
            return person_out(await _move(tx, visit, before, row.data["email"]))
        known = {"password_hash": row.data["password_hash"], "password_changed_at": visit.now}
        user = await prove_email(tx, visit, before, known | _told(row.data))
        return person_out(user)


async def prove_email(tx: Tx, visit: Visit, before: UserRow, known: dict[str, Any]) -> UserRow:
    """The person, their address proved; the first time with the welcome grant. Lock the person before.

    Raises: Invalid when they are not active.
    """
    user = await users.verify_email(tx, before.id, visit.now, **known)
    if user is None:
        raise codes.refused("/code")
    await challenges.void(tx, VERIFY, user.id, visit.now)
    if before.email_verified_at is None:
        organization_id = await users.personal_organization(tx, user.id)
        if organization_id is not None:
            await welcome(tx, visit, user, organization_id)
    return user


async def _person(tx: Tx, visit: Visit, wanted: RegisterIn, digest: str) -> UserRow:
    """Who has the address: somebody new, or who had it before."""
    now = visit.now
    user = UserRow(
        new_id("user"), wanted.email, None, wanted.name, wanted.locale, digest, now, "active", now, now, 1
    )  # fmt: skip
    if await users.save_user(tx, user):
        await settle(tx, visit, user, method="password")
        return user
    found = await users.find_by_email(tx, wanted.email)
    if found is None:
        raise codes.too_many()  # it was freed in this moment
    return found


async def _move(tx: Tx, visit: Visit, before: UserRow, email: str) -> UserRow:
    """The person with another address. Raises: Invalid when somebody has it by now."""
    user = await users.change_email(tx, before.id, visit.now, email)
    if user is None:
        raise codes.refused("/code")
    await challenges.void(tx, VERIFY, user.id, visit.now)
    organization_id = await users.personal_organization(tx, user.id)
    sealer = (await person_sealers(tx, visit.deps.sealer, [user.id])).get(user.id)
    fact = UserUpdatedV1(user_id=user.id, changed=("email",), actor=user.id)
    where = organization_id or facts.HUB
    await facts.tell(tx, visit.context, where, fact, now=visit.now, sealer=sealer, subject=user.id)
    return user


def _told(data: Any) -> dict[str, Any]:
    """What the registration said of them."""
    return {"locale": data["locale"]} | ({"name": data["name"]} if data.get("name") else {})
