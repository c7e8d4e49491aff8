"""A log-in on its way to a provider and back: begun once, finished once, by the same browser."""

import hmac
from datetime import timedelta
from typing import Any, Final, NamedTuple

from api.core.visits import Visit
from contracts.errors import NotFound, Unauthenticated
from infra.crypto import new_secret
from infra.http.oidc import OidcClient, Request
from infra.ids import new_id
from infra.postgres import challenges
from infra.postgres.challenges import ChallengeRow

STATE: Final = "oauth_state"
LIFE: Final = timedelta(minutes=10)


class Begun(NamedTuple):
    """What a log-in was begun for. `user_id` only of who links an account."""

    purpose: str
    provider: str
    user_id: str | None
    data: dict[str, Any]


def client_of(clients: dict[str, OidcClient], provider: str) -> OidcClient:
    """Who talks to the provider. Raises: NotFound."""
    if provider not in clients:
        raise NotFound(f"There is no log-in with {provider} here; see GET /v1/auth/oauth/providers.")
    return clients[provider]


async def begin(visit: Visit, client: OidcClient, browser: str, begun: Begun) -> str:
    """Where the browser goes. Raises: ProviderUnavailable."""
    state = new_secret()
    address = await client.authorization_url(_request(visit, begun.provider, state), visit.now)
    data = {**begun.data, "purpose": begun.purpose, "provider": begun.provider,
            "browser": visit.hash("oauth browser", browser).hex()}  # fmt: skip
    row = ChallengeRow(new_id("chl"), STATE, begun.user_id, visit.hash(STATE, state), data, 1, visit.now,
                       visit.now + LIFE)  # fmt: skip
    async with visit.deps.database.unscoped() as tx:
        await challenges.create(tx, row)
    return address


async def finish(visit: Visit, provider: str, browser: str | None, state: str) -> tuple[Begun, Request]:
    """What was begun, over now whatever comes of it. Raises: Unauthenticated."""
    async with visit.deps.database.unscoped() as tx:
        row = await challenges.consume_by_hash(tx, STATE, visit.hash(STATE, state), visit.now)
    if row is None:
        raise Unauthenticated("This log-in is unknown, finished, or older than ten minutes; begin again.")
    if not is_same_browser(visit, browser, row.data["browser"]):
        raise Unauthenticated("This log-in was begun in another browser; begin again in this one.")
    if row.data["provider"] != provider:
        raise Unauthenticated("This log-in was begun with another provider; begin again.")
    return Begun(row.data["purpose"], provider, row.user_id, dict(row.data)), _request(visit, provider, state)


def is_same_browser(visit: Visit, browser: str | None, noted: str) -> bool:
    """Whether the cookie is the one that was there at the beginning."""
    return browser is not None and hmac.compare_digest(visit.hash("oauth browser", browser).hex(), noted)


def _request(visit: Visit, provider: str, state: str) -> Request:
    """Nonce and verifier follow from the state by our secret: the browser sees neither before its time."""
    address = f"{visit.deps.options.public_url.rstrip('/')}/v1/auth/oauth/{provider}/callback"
    return Request(address, state, visit.hash("oauth nonce", state).hex(), visit.hash("oauth verifier", state).hex())
