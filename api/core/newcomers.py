"""What everybody has from the start, however they come: an organization of their own, and a welcome."""

from typing import Final, Literal

from api.core import facts
from api.core.persons import make_person_key, person_sealers
from api.core.visits import Visit
from contracts import catalog, topics
from contracts.events.auth import UserRegisteredV1, UserVerifiedV1
from contracts.events.base import SYSTEM_SOURCE
from contracts.events.credits import CreditsGrantedV1
from contracts.events.members import OrganizationCreatedV1, RoleAssignedV1
from infra.ids import new_id
from infra.postgres import keys, members, users
from infra.postgres.database import Tx
from infra.postgres.users import UserRow
from producers import outbox

OWNER_ROLE: Final = "admin"
VERIFY: Final = "verify"
"""The purpose of a challenge that proves an address."""


async def settle(tx: Tx, visit: Visit, user: UserRow, *, method: Literal["password", "oauth"]) -> str:
    """The id of the organization that a person who was saved a moment ago owns and runs."""
    now, organization_id = visit.now, new_id("org")
    await keys.save_organization(tx, keys.OrganizationRow(organization_id, user.name or "Personal", now))
    await users.own_personally(tx, organization_id, user.id)
    await members.save_member(tx, organization_id, user.id, owner=True, now=now)
    await members.assign(tx, organization_id, user.id, OWNER_ROLE, by=user.id, now=now)
    sealer = await make_person_key(tx, visit.deps.sealer, user.id)
    for fact in (
        UserRegisteredV1(user_id=user.id, method=method, actor=user.id),
        OrganizationCreatedV1(organization_id=organization_id, owner=user.id, actor=user.id),
        RoleAssignedV1(user_id=user.id, role_id=OWNER_ROLE, actor=user.id),
    ):
        await facts.tell(tx, visit.context, organization_id, fact, now=now, sealer=sealer, subject=user.id)
    return organization_id


async def welcome(tx: Tx, visit: Visit, user: UserRow, organization_id: str) -> None:
    """Their address is proved for the first time: the fact, and the welcome credits."""
    sealer = (await person_sealers(tx, visit.deps.sealer, [user.id])).get(user.id)
    fact = UserVerifiedV1(user_id=user.id, actor=user.id)
    await facts.tell(tx, visit.context, organization_id, fact, now=visit.now, sealer=sealer, subject=user.id)
    if visit.deps.options.welcome_micros:
        await outbox.save(tx, topics.CREDITS, organization_id, [_grant(visit, user.id, organization_id)])


def _grant(visit: Visit, user_id: str, organization_id: str) -> bytes:
    """The welcome credits, under one identity a person: however often it is stated, it is booked once."""
    amount = visit.deps.options.welcome_micros
    data = CreditsGrantedV1(amount_micros=amount, source="bonus", reason="Welcome credits")
    source = f"{SYSTEM_SOURCE}/auth"
    stated = catalog.state(
        data, event_id=f"welcome-{user_id}", source=source, organization=organization_id, now=visit.now
    )
    return catalog.encode(stated)
