"""The steps: begin, come back, take the tokens; link and unlink."""

from datetime import timedelta
from typing import Any, Final

from api.core.login_schemas import LoginOut
from api.core.logins import answer, first_step_done
from api.core.principal import Principal
from api.core.visits import Visit
from api.core.ways_in import keep_a_way_in
from api.oauth import accounts, states
from api.oauth.schemas import IdentityOut, ProviderOut
from api.oauth.states import Begun, client_of
from contracts.errors import Malformed, Unauthenticated
from infra.crypto import new_secret
from infra.http.oidc import Identity, OidcClient, Request
from infra.ids import new_id
from infra.postgres import challenges, sessions, users
from infra.postgres import linked_identities as store
from infra.postgres.challenges import ChallengeRow

FEDERATED: Final = "fed"
"""How a session came about; RFC 8176 has no word for it."""
LOGIN_CODE: Final = "oauth_login"
LOGIN_CODE_LIFE: Final = timedelta(seconds=60)

Clients = dict[str, OidcClient]


def providers(visit: Visit, clients: Clients) -> list[ProviderOut]:
    """Who people may log in with."""
    base = visit.deps.options.public_url.rstrip("/") + "/v1/auth/oauth/"
    return [
        ProviderOut(name=name, label=client.provider.label or name, start=f"{base}{name}/start")
        for name, client in clients.items()
    ]


async def begin(
    visit: Visit, clients: Clients, provider: str, browser: str, *, purpose: str = "login", **data: Any
) -> str:
    """Where the browser goes. Raises: NotFound, ProviderUnavailable."""
    return await states.begin(visit, client_of(clients, provider), browser, Begun(purpose, provider, None, data))


async def begin_link(
    visit: Visit, who: Principal, clients: Clients, provider: str, browser: str, return_to: str | None
) -> str:
    """Where the browser goes to link an account. Raises: NotFound, ProviderUnavailable."""
    data = {"organization_id": who.organization_id, "session_id": who.login.id if who.login else "",
            "return_to": return_to}  # fmt: skip
    return await states.begin(visit, client_of(clients, provider), browser, Begun("link", provider, who.user_id, data))


async def came_back(
    visit: Visit, clients: Clients, provider: str, browser: str | None, query: dict[str, str]
) -> tuple[Begun, Request]:
    """What was begun, over now. Raises: NotFound, Malformed, Unauthenticated."""
    client_of(clients, provider)
    if "state" not in query:
        raise Malformed("This is no answer of a provider: it has no state.")
    return await states.finish(visit, provider, browser, query["state"])


async def identify(visit: Visit, clients: Clients, provider: str, request: Request, query: dict[str, str]) -> Identity:
    """Whose account it is; no transaction is open meanwhile. Raises: Unauthenticated, ProviderUnavailable."""
    if "error" in query or "code" not in query:
        raise Unauthenticated("The provider did not log you in, or you said no; begin again.")
    return await client_of(clients, provider).identify(query["code"], request, query.get("iss"), visit.now)


async def login_code(visit: Visit, begun: Begun, identity: Identity) -> str:
    """A code for the tokens: the browser that began brings it back, with what it knows of its device.

    Raises: Conflict, Invalid, Unauthenticated.
    """
    secret = new_secret()
    async with visit.deps.database.unscoped() as tx:
        user = await accounts.person_of(tx, visit, begun.provider, identity)
        row = ChallengeRow(new_id("chl"), LOGIN_CODE, user.id, visit.hash(LOGIN_CODE, secret),
                           {"browser": begun.data["browser"]}, 1, visit.now, visit.now + LOGIN_CODE_LIFE)  # fmt: skip
        await challenges.create(tx, row)
    return secret


async def tokens(visit: Visit, browser: str | None, code: str) -> LoginOut:
    """Tokens, or the second step. Raises: Unauthenticated, PermissionDenied."""
    refused = Unauthenticated("The log-in code is unknown, used, older than a minute, or of another browser.")
    async with visit.deps.database.unscoped() as tx:
        row = await challenges.consume_by_hash(tx, LOGIN_CODE, visit.hash(LOGIN_CODE, code), visit.now)
    if row is None or row.user_id is None or not states.is_same_browser(visit, browser, row.data["browser"]):
        raise refused
    async with visit.deps.database.unscoped() as tx:
        user = await users.find_user(tx, row.user_id)
        if user is None or user.status != "active":
            raise refused
        done = await first_step_done(tx, visit, user, methods=(FEDERATED,), via="oauth")
    return await answer(visit, done)


async def link(visit: Visit, begun: Begun, identity: Identity) -> None:
    """The account is the person's, whose session must go on. Raises: Unauthenticated, Conflict."""
    user_id = begun.user_id or ""
    async with visit.deps.database.unscoped() as tx:
        await users.lock_user(tx, user_id)
        session = await sessions.find_alive(tx, begun.data["session_id"], visit.now)
        user = await users.find_user(tx, user_id)
        if session is None or session.user_id != user_id or user is None or user.status != "active":
            raise Unauthenticated("The session that asked for the link has ended; log in again.")
        await accounts.link(tx, visit, begun.provider, identity, user_id, begun.data["organization_id"])


async def unlink(visit: Visit, who: Principal, provider: str) -> None:
    """The accounts there log in no more. Raises: NotFound, Conflict for the last way to log in."""
    async with visit.deps.database.unscoped() as tx:
        await users.lock_user(tx, who.user_id)
        await accounts.unlink(tx, visit, provider, who.user_id, who.organization_id)
        await keep_a_way_in(tx, who.user_id)


async def identities(visit: Visit, who: Principal) -> list[IdentityOut]:
    """The accounts that the person can log in with."""
    async with visit.deps.database.unscoped() as tx:
        rows = await store.of_user(tx, who.user_id)
    return [IdentityOut(provider=row.provider, email=row.email, linked_at=row.linked_at) for row in rows]
