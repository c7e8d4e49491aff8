"""Whose an account at a provider is: linked before, or somebody new; never somebody's merely by an address."""

from typing import Final

from pydantic import TypeAdapter, ValidationError

from api.core.emails import Email
from api.core.newcomers import VERIFY, settle, welcome
from api.core.person_facts import say
from api.core.visits import Visit
from contracts.errors import Conflict, Invalid, NotFound, Problem, Unauthenticated
from contracts.events.auth import IdentityLinkedV1, IdentityUnlinkedV1
from infra.http.oidc import Identity
from infra.ids import new_id
from infra.postgres import challenges, users
from infra.postgres import linked_identities as store
from infra.postgres.database import Tx
from infra.postgres.linked_identities import IdentityRow
from infra.postgres.users import UserRow

_EMAIL: Final[TypeAdapter[str]] = TypeAdapter(Email)


async def person_of(tx: Tx, visit: Visit, provider: str, identity: Identity) -> UserRow:
    """Whose account this is; somebody new, when nobody has linked it and nobody has its address.

    Raises: Conflict (somebody has the address: they log in and link), Invalid (no address that the provider vouches
    for), Unauthenticated (not active any more).
    """
    linked = await store.find(tx, identity.issuer, identity.subject)
    user = await users.find_user(tx, linked.user_id) if linked else await _newcomer(tx, visit, provider, identity)
    if user is None or user.status != "active":
        raise Unauthenticated("This account does not log in here any more.")
    return user


async def _newcomer(tx: Tx, visit: Visit, provider: str, identity: Identity) -> UserRow:
    email, now = _address(identity), visit.now
    row = UserRow(new_id("user"), email, now, identity.name, "en", None, None, "active", now, now, 1)
    if await users.save_user(tx, row):
        organization_id = await settle(tx, visit, row, method="oauth")
    else:
        row, organization_id = await _unproved(tx, visit, email)
    await welcome(tx, visit, row, organization_id)
    await link(tx, visit, provider, identity, row.id, organization_id)
    return row


async def _unproved(tx: Tx, visit: Visit, email: str) -> tuple[UserRow, str]:
    """Who registered the address and never proved it: it is theirs whom the provider vouches for, the password is not.

    Raises: Conflict when it was proved.
    """
    found = await users.find_by_email(tx, email)
    if found is not None:
        await users.lock_user(tx, found.id)
        found = await users.find_user(tx, found.id)
    if found is None or found.email_verified_at is not None or found.status != "active":
        raise Conflict(
            "Somebody has this e-mail address here already. If it is you, log in as you did before, then link the"
            " account: POST /v1/auth/oauth/{provider}/link."
        )
    proved = await users.verify_email(tx, found.id, visit.now, password_hash=None, password_changed_at=None)
    organization_id = await users.personal_organization(tx, found.id)
    if proved is None or organization_id is None:
        raise Unauthenticated("This account does not log in here any more.")
    await challenges.void(tx, VERIFY, found.id, visit.now)
    return proved, organization_id


async def link(tx: Tx, visit: Visit, provider: str, identity: Identity, user_id: str, organization_id: str) -> None:
    """The person can log in with the account from now on; again changes nothing. Raises: Conflict (somebody else's)."""
    row = IdentityRow(identity.issuer, identity.subject, provider, user_id, identity.email, visit.now)
    if await store.link(tx, row):
        fact = IdentityLinkedV1(user_id=user_id, provider=provider, actor=user_id)
        await say(tx, visit, organization_id, user_id, fact)
        return
    known = await store.find(tx, identity.issuer, identity.subject)
    if known is None or known.user_id != user_id:
        raise Conflict("This account is linked to somebody else; unlink it there first.")


async def unlink(tx: Tx, visit: Visit, provider: str, user_id: str, organization_id: str) -> None:
    """The person, locked, can log in with their accounts at the provider no more. Raises: NotFound."""
    if not await store.unlink(tx, user_id, provider):
        raise NotFound(f"You have no account linked at {provider}.")
    fact = IdentityUnlinkedV1(user_id=user_id, provider=provider, actor=user_id)
    await say(tx, visit, organization_id, user_id, fact)


def _address(identity: Identity) -> str:
    if identity.email is not None:
        try:
            return _EMAIL.validate_python(identity.email)
        except ValidationError:
            pass
    problem = Problem("/email", "email_unverified", "the provider vouches for none")
    raise Invalid(
        "The provider vouches for no e-mail address of yours: prove one there, or register here by e-mail and link.",
        problems=(problem,),
    )
