"""What is handed out once and comes back once: codes by mail, second steps of a log-in, OAuth states."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, delete, func, insert, select, update

from infra.postgres.database import Tx
from infra.postgres.tables.credentials import challenges


class ChallengeRow(NamedTuple):
    """One challenge. `hash` is of what its holder must bring; `data` is what it was made for, never a secret."""

    id: str
    purpose: str
    user_id: str | None
    hash: bytes
    data: Mapping[str, Any]
    tries_left: int
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


_COLUMNS = [challenges.c[name] for name in ChallengeRow._fields]


def _open(now: datetime) -> Any:
    return and_(challenges.c.used_at.is_(None), challenges.c.expires_at > now)


async def create(tx: Tx, challenge: ChallengeRow) -> None:
    """A new challenge."""
    await tx.execute(insert(challenges).values(**{**challenge._asdict(), "data": dict(challenge.data)}))


async def find(tx: Tx, purpose: str, challenge_id: str, now: datetime) -> ChallengeRow | None:
    """The challenge with this id while it is neither used nor expired, tries left or not."""
    mine = and_(challenges.c.id == challenge_id, challenges.c.purpose == purpose)
    row = (await tx.execute(select(*_COLUMNS).where(mine, _open(now)))).one_or_none()
    return ChallengeRow(*row) if row else None


async def find_by_hash(tx: Tx, purpose: str, digest: bytes, now: datetime) -> ChallengeRow | None:
    """The challenge whose secret has this hash, while it is neither used nor expired, tries left or not."""
    mine = and_(challenges.c.purpose == purpose, challenges.c.hash == digest)
    row = (await tx.execute(select(*_COLUMNS).where(mine, _open(now)))).one_or_none()
    return ChallengeRow(*row) if row else None


async def take_try(tx: Tx, purpose: str, challenge_id: str, now: datetime) -> ChallengeRow | None:
    """The challenge, one try fewer; None when it is used, expired or has none left.

    Commit before you compare: a transaction that fails with the guess would give the try back.
    """
    mine = and_(challenges.c.id == challenge_id, challenges.c.purpose == purpose, challenges.c.tries_left > 0)
    statement = update(challenges).where(mine, _open(now)).values(tries_left=challenges.c.tries_left - 1)
    row = (await tx.execute(statement.returning(*_COLUMNS))).one_or_none()
    return ChallengeRow(*row) if row else None


async def consume(tx: Tx, purpose: str, challenge_id: str, now: datetime) -> ChallengeRow | None:
    """The challenge, used from now on: of any number of callers at once, one gets it. Tries are not looked at."""
    mine = and_(challenges.c.id == challenge_id, challenges.c.purpose == purpose)
    statement = update(challenges).where(mine, _open(now)).values(used_at=now)
    row = (await tx.execute(statement.returning(*_COLUMNS))).one_or_none()
    return ChallengeRow(*row) if row else None


async def consume_by_hash(tx: Tx, purpose: str, digest: bytes, now: datetime) -> ChallengeRow | None:
    """The same for a secret that nobody can guess (links, states): whoever has it need not know the id."""
    mine = and_(challenges.c.purpose == purpose, challenges.c.hash == digest)
    statement = update(challenges).where(mine, _open(now)).values(used_at=now)
    row = (await tx.execute(statement.returning(*_COLUMNS))).one_or_none()
    return ChallengeRow(*row) if row else None


async def void(tx: Tx, purpose: str, user_id: str, now: datetime) -> None:
    """What was handed out to the person for this purpose is worth nothing any more."""
    mine = and_(challenges.c.user_id == user_id, challenges.c.purpose == purpose)
    await tx.execute(update(challenges).where(mine, _open(now)).values(used_at=now))


async def made_since(tx: Tx, purpose: str, user_id: str, since: datetime) -> int:
    """How many were made for the person and this purpose after that instant."""
    mine = and_(challenges.c.user_id == user_id, challenges.c.purpose == purpose, challenges.c.created_at > since)
    return await tx.scalar(select(func.count()).select_from(challenges).where(mine)) or 0


async def purge(tx: Tx, before: datetime) -> int:
    """Forgets what expired before that instant; how many."""
    return (await tx.execute(delete(challenges).where(challenges.c.expires_at < before))).rowcount
