"""Oneself: seen and changed."""

from api.auth.codes import Order, send_code
from api.auth.ending import tell_about
from api.auth.schemas import CodeSent, MeIn
from api.core.deadlines import ANSWERS_AFTER_S, no_sooner_than
from api.core.etags import Precondition
from api.core.letters import Letter, write
from api.core.login_schemas import PersonOut, person_out
from api.core.principal import Principal
from api.core.visits import Visit
from contracts.errors import Unauthenticated
from contracts.events.auth import UserUpdatedV1
from infra.postgres import users
from infra.postgres.users import UserRow


async def read(visit: Visit, who: Principal) -> PersonOut:
    """Who asks."""
    async with visit.deps.database.unscoped() as tx:
        return person_out(_there(await users.find_user(tx, who.user_id)))


async def change(visit: Visit, who: Principal, wanted: MeIn, precondition: Precondition) -> PersonOut:
    """Oneself with another name or language. Raises: PreconditionFailed."""
    async with visit.deps.database.unscoped() as tx:
        await users.lock_user(tx, who.user_id)
        before = _there(await users.find_user(tx, who.user_id))
        precondition.check(person_out(before))
        values = wanted.model_dump(exclude_unset=True)
        if values.get("locale", before.locale) is None:
            del values["locale"]
        changed = {name: value for name, value in values.items() if getattr(before, name) != value}
        if not changed:
            return person_out(before)
        after = _there(await users.change_user(tx, before.id, visit.now, **changed))
        fact = UserUpdatedV1.model_validate({"user_id": before.id, "changed": sorted(changed), "actor": before.id})
        await tell_about(tx, visit, before.id, fact)
        return person_out(after)


async def change_email(visit: Visit, who: Principal, email: str) -> CodeSent:
    """A code goes to the new address, word of it to the old one; the answer is the same for an address that is taken.

    Raises: RateLimited.
    """
    async with no_sooner_than(ANSWERS_AFTER_S), visit.deps.database.unscoped() as tx:
        user = _there(await users.find_user(tx, who.user_id))
        taken = await users.find_by_email(tx, email) is not None
        sent = await send_code(tx, visit, Order(user.id, email, user.locale, {"moves": True}, taken))
        if user.email is not None:
            await write(tx, visit, Letter.EMAIL_CHANGING, to=user.email, locale=user.locale)
        return sent


def _there(user: UserRow | None) -> UserRow:
    if user is None:
        raise Unauthenticated("There is no such person any more; log in again.")
    return user
