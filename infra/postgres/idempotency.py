"""First answers to requests with an Idempotency-Key, kept for 24 hours."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from infra.postgres.database import Tx
from infra.postgres.tables.idempotency import idempotency_keys as keys


class Answer(NamedTuple):
    """An answer to keep."""

    status: int
    content_type: str
    body: bytes


class FirstAnswer(NamedTuple):
    """What the first request got; `status` None while it is still under way."""

    request_hash: bytes
    status: int | None
    content_type: str | None
    body: bytes | None


async def claim(
    tx: Tx,
    organization_id: str,
    key: str,
    request_hash: bytes,
    now: datetime,
    *,
    expired: datetime,
    abandoned: datetime,
) -> bool:
    """True when the key is ours to answer.

    It is when nobody used it, when its first use is older than `expired`, or when the first request never finished
    and is older than `abandoned`. Two at once: exactly one gets True.
    """
    fresh = {"request_hash": request_hash, "started_at": now, "status": None, "content_type": None, "body": None}
    statement = insert(keys).values(organization_id=organization_id, key=key, **fresh)
    free = or_(keys.c.started_at < expired, and_(keys.c.status.is_(None), keys.c.started_at < abandoned))
    statement = statement.on_conflict_do_update(
        index_elements=[keys.c.organization_id, keys.c.key], set_=fresh, where=free
    )
    return (await tx.execute(statement.returning(keys.c.key))).first() is not None


async def first_answer(tx: Tx, organization_id: str, key: str) -> FirstAnswer | None:
    """What the first request with this key got."""
    mine = and_(keys.c.organization_id == organization_id, keys.c.key == key)
    columns = (keys.c.request_hash, keys.c.status, keys.c.content_type, keys.c.body)
    row = (await tx.execute(select(*columns).where(mine))).one_or_none()
    return FirstAnswer(*row) if row else None


async def finish(tx: Tx, organization_id: str, key: str, started_at: datetime, answer: Answer) -> None:
    """Keeps the answer, unless another request has taken the key over meanwhile."""
    mine = and_(keys.c.organization_id == organization_id, keys.c.key == key, keys.c.started_at == started_at)
    await tx.execute(update(keys).where(mine).values(**answer._asdict()))


async def release(tx: Tx, organization_id: str, key: str, started_at: datetime) -> None:
    """Frees a key whose request failed on our side, so that it may be tried again."""
    mine = and_(keys.c.organization_id == organization_id, keys.c.key == key, keys.c.started_at == started_at)
    await tx.execute(delete(keys).where(mine, keys.c.status.is_(None)))


async def purge(tx: Tx, before: datetime) -> int:
    """How many answers older than `before` were forgotten."""
    return (await tx.execute(delete(keys).where(keys.c.started_at < before))).rowcount
