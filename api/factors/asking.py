"""What an authenticator is asked to sign: a challenge of five minutes and one use."""

from datetime import datetime, timedelta
from typing import Any, Final

from api.deps import Deps
from api.factors.webauthn import RelyingParty
from infra.crypto import hash_secret, new_secret
from infra.ids import new_id
from infra.postgres import challenges
from infra.postgres.challenges import ChallengeRow
from infra.postgres.database import Tx

ASKED_FOR: Final = timedelta(minutes=5)


async def ask(tx: Tx, deps: Deps, purpose: str, user_id: str | None, now: datetime, **data: Any) -> str:
    """A challenge, in clear this once."""
    secret = new_secret()
    digest = hash_secret(secret, deps.key_pepper, purpose)
    await challenges.create(tx, ChallengeRow(new_id("chl"), purpose, user_id, digest, data, 1, now, now + ASKED_FOR))
    return secret


async def asked(tx: Tx, deps: Deps, purpose: str, secret: str, now: datetime) -> ChallengeRow | None:
    """The challenge, used from now on."""
    return await challenges.consume_by_hash(tx, purpose, hash_secret(secret, deps.key_pepper, purpose), now)


def signed(deps: Deps, secret: str) -> bytes:
    """What the authenticator signs for a challenge: nobody has foreseen it, and it stands for that challenge only."""
    return hash_secret(secret, deps.key_pepper, "webauthn")


def party(deps: Deps) -> RelyingParty:
    """This hub."""
    return RelyingParty.of(deps.options.public_url)
