"""Registering: a person with an organization of their own, who can log in once their address is proved.

The answer is the same for an address that has an account. Until an address is proved, every registration of it has its
own code, and the code brings its own password: nobody can set a password in advance for an account that another proves.
"""

from datetime import datetime
from typing import Any, Final

from api.auth import codes
from api.auth.codes import VERIFY, Order, send_code
from api.auth.schemas import CodeSent, RegisterIn
from api.core import facts
from api.core.deadlines import no_sooner_than
from api.core.login_schemas import PersonOut, person_out
from api.core.persons import make_person_key, person_sealers
from api.core.secrets import accept_password
from api.core.visits import Visit
from contracts import catalog, topics
from contracts.events.auth import UserRegisteredV1, UserUpdatedV1, UserVerifiedV1
from contracts.events.base import SYSTEM_SOURCE
from contracts.events.credits import CreditsGrantedV1
from contracts.events.members import OrganizationCreatedV1, RoleAssignedV1
from infra.ids import new_id
from infra.postgres import challenges, keys, members, users
from infra.postgres.database import Tx
from infra.postgres.users import UserRow
from producers import outbox

OWNER_ROLE: Final = "admin"
ANSWERS_AFTER_S: Final = 0.05
"""What is done beside the hash takes less; so it does not show whether there was an account."""


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
            await _welcome(tx, visit, user, organization_id)
    return user


async def _person(tx: Tx, visit: Visit, wanted: RegisterIn, digest: str) -> UserRow:
    """Who has the address: somebody new, or who had it before."""
    now = visit.now
    user = UserRow(
        new_id("user"), wanted.email, None, wanted.name, wanted.locale, digest, now, "active", now, now, 1
    )  # fmt: skip
    if await users.save_user(tx, user):
        await _organization(tx, visit, user)
        return user
    found = await users.find_by_email(tx, wanted.email)
    if found is None:
        raise codes.too_many()  # it was freed in this moment
    return found


async def _organization(tx: Tx, visit: Visit, user: UserRow) -> None:
    """Everybody has an organization of their own, and runs it."""
    now, organization_id = visit.now, new_id("org")
    row = keys.OrganizationRow(organization_id, user.name or "Personal", now)
    await keys.save_organization(tx, row)
    await users.own_personally(tx, organization_id, user.id)
    await members.save_member(tx, organization_id, user.id, owner=True, now=now)
    await members.assign(tx, organization_id, user.id, OWNER_ROLE, by=user.id, now=now)
    sealer = await make_person_key(tx, visit.deps.sealer, user.id)
    for fact in (
        UserRegisteredV1(user_id=user.id, method="password", actor=user.id),
        OrganizationCreatedV1(organization_id=organization_id, owner=user.id, actor=user.id),
        RoleAssignedV1(user_id=user.id, role_id=OWNER_ROLE, actor=user.id),
    ):
        await facts.tell(tx, visit.context, organization_id, fact, now=now, sealer=sealer, subject=user.id)


async def _welcome(tx: Tx, visit: Visit, user: UserRow, organization_id: str) -> None:
    sealer = (await person_sealers(tx, visit.deps.sealer, [user.id])).get(user.id)
    fact = UserVerifiedV1(user_id=user.id, actor=user.id)
    await facts.tell(tx, visit.context, organization_id, fact, now=visit.now, sealer=sealer, subject=user.id)
    if visit.deps.options.welcome_micros:
        await outbox.save(tx, topics.CREDITS, organization_id, [_grant(visit, user.id, organization_id, visit.now)])


def _grant(visit: Visit, user_id: str, organization_id: str, now: datetime) -> bytes:
    """The welcome credits, under one identity a person: however often it is stated, it is booked once."""
    amount = visit.deps.options.welcome_micros
    data = CreditsGrantedV1(amount_micros=amount, source="bonus", reason="Welcome credits")
    source = f"{SYSTEM_SOURCE}/auth"
    stated = catalog.state(
        data, event_id=f"welcome-{user_id}", source=source, organization=organization_id, now=now
    )  # fmt: skip
    return catalog.encode(stated)


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
