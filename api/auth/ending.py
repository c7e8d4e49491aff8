"""How sessions end, and how that is told."""

from collections.abc import Sequence

from api.core import facts
from api.core.persons import person_sealers
from api.core.visits import Visit
from contracts.events.auth import AuthFact, SessionRevokedV1, UserLoggedOutV1
from infra.postgres import sessions, users
from infra.postgres.database import Tx


async def tell_about(tx: Tx, visit: Visit, user_id: str, *stated: AuthFact, where: str | None = None) -> None:
    """States what happened to a person: in the organization `where`, else in their own."""
    organization = where or await users.personal_organization(tx, user_id) or facts.HUB
    sealer = (await person_sealers(tx, visit.deps.sealer, [user_id])).get(user_id)
    for fact in stated:
        await facts.tell(tx, visit.context, organization, fact, now=visit.now, sealer=sealer, subject=user_id)


async def end_others(tx: Tx, visit: Visit, user_id: str, keep: str | None, *, reason: str) -> Sequence[str]:
    """Ends the person's sessions but the one to keep (None: all of them); the ids that ended."""
    ended = await sessions.end_all(tx, user_id, visit.now, reason, but=keep)
    revoked = [SessionRevokedV1(user_id=user_id, session_id=one, reason=reason, actor=user_id) for one in ended]
    await tell_about(tx, visit, user_id, *revoked)
    return ended


async def end_one(tx: Tx, visit: Visit, user_id: str, session_id: str, *, reason: str) -> bool:
    """Ends one session of the person's; False: there is no such session, or it has ended."""
    if not await sessions.end_session(tx, session_id, user_id, visit.now, reason):
        return False
    await tell_about(
        tx, visit, user_id, SessionRevokedV1(user_id=user_id, session_id=session_id, reason=reason, actor=user_id)
    )
    return True


async def log_out(tx: Tx, visit: Visit, user_id: str, session_id: str) -> None:
    """Ends the session that asks."""
    if await sessions.end_session(tx, session_id, user_id, visit.now, "logged out"):
        await tell_about(tx, visit, user_id, UserLoggedOutV1(user_id=user_id, session_id=session_id, actor=user_id))
