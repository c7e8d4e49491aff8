"""Hands out and erases what is kept about a person, in one transaction each."""

from typing import Any, Final

from api.core.facts import tell
from api.core.persons import opened, person_sealers
from api.core.principal import Principal
from api.core.request_ids import Context
from api.deps import Deps
from api.privacy.schemas import Erased, PersonalData
from contracts.errors import Conflict, Problem, Unauthenticated
from contracts.events.auth import UserErasedV1
from contracts.events.members import MemberRemovedV1
from infra.postgres import privacy, users

MAX_EVENTS: Final = 10_000


async def personal_data(deps: Deps, who: Principal) -> PersonalData:
    """Everything that is kept about the person, what was sealed opened. Raises: Unauthenticated for a key."""
    user_id = who.user_id
    async with deps.database.unscoped() as tx:
        user = await users.find_user(tx, user_id)
        if user is None:
            raise Unauthenticated("This person is not known any more.")
        sealers = await person_sealers(tx, deps.sealer, {user_id})
        told = {
            name: await privacy.rows_about(tx, table, columns, user_id)
            for name, (table, columns) in privacy.TOLD.items()
        }
        made = await privacy.keys_made_by(tx, user_id)
        events = [dict(row) for row in await privacy.events_about(tx, user_id, MAX_EVENTS)]
    for row in [*told["sessions"], *events]:
        for name in ("address", "device"):
            if isinstance(row.get(name), str):
                row[name] = opened(sealers, user_id, row[name])
    for row in events:
        row["data"] = {key: value for key, value in row["data"].items() if key != "address"}
    about: dict[str, Any] = {
        key: value for key, value in user._asdict().items() if key not in ("password_hash", "version")
    }
    return PersonalData(user=about, api_keys=made, events=events, **told)


async def erase(deps: Deps, who: Principal, context: Context) -> Erased:
    """Destroys the person's key and everything that names them; ids and sums stay. It cannot be undone.

    Raises: Conflict while an organization with other members would be left without an owner.
    """
    user_id, now = who.user_id, deps.clock.now()
    async with deps.database.unscoped() as tx:
        user = await users.find_user(tx, user_id)
        if user is None or user.status == "erased":
            raise Unauthenticated("This person is not known any more.")
        await privacy.lock_owned(tx, user_id)
        if alone := await privacy.sole_owned(tx, user_id):
            problems = tuple(Problem("", "last_owner", f"you are the only owner of {one}") for one in alone)
            raise Conflict("Make somebody else an owner of these organizations first.", problems=problems)
        left = await privacy.leave_everything(tx, user_id)
        await privacy.erase_personal_organization(tx, user_id, now)
        await privacy.erase_person(tx, user_id, user.email, now)
        quiet = Context(context.request_id, {})  # the key that would seal the address is gone
        for organization_id in left:
            await tell(tx, quiet, organization_id, MemberRemovedV1(user_id=user_id, actor=user_id), now=now)
        await tell(tx, quiet, who.organization_id, UserErasedV1(user_id=user_id, actor=user_id), now=now)
    return Erased(user_id=user_id, erased_at=now, left=left)
