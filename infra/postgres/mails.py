"""Mail on its way: written beside the rows that it is about, sent afterwards."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Interval, and_, bindparam, delete, insert, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY

from infra.postgres.database import Tx
from infra.postgres.tables.credentials import mails


class MailRow(NamedTuple):
    """One mail. `subject` names its occasion; `body` (text and subject line) is sealed, for it carries codes and links,
    and empty once sent; `error` is the far end's code."""

    id: str
    recipient: str
    subject: str
    body: str
    created_at: datetime
    next_at: datetime
    attempts: int = 0
    sent_at: datetime | None = None
    error: str | None = None


_COLUMNS = [mails.c[name] for name in MailRow._fields]
_CLAIM: Final = text("""
    UPDATE mails SET attempts = attempts + 1, next_at = :now + (:pauses)[attempts + 1]
    WHERE id IN (
        SELECT id FROM mails WHERE sent_at IS NULL AND next_at <= :now AND attempts < cardinality(:pauses)
        ORDER BY next_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    RETURNING id, recipient, subject, body, created_at, next_at, attempts, sent_at, error
""").bindparams(bindparam("pauses", type_=ARRAY(Interval)))


async def save_mail(tx: Tx, mail: MailRow) -> None:
    """A mail to send."""
    await tx.execute(insert(mails).values(**mail._asdict()))


async def claim(tx: Tx, now: datetime, pauses: Sequence[timedelta], *, limit: int) -> Sequence[MailRow]:
    """Mails that are due, each for one caller; whoever dies with it leaves it to the next after its pause.

    `pauses` are those after the first, second ... attempt; after the last there is no further one.
    """
    rows = await tx.execute(_CLAIM, {"now": now, "pauses": list(pauses), "limit": limit})
    return [MailRow(*row) for row in rows]


async def mark_sent(tx: Tx, mail_id: str, now: datetime) -> None:
    """The far end has it; what it said is not kept here."""
    await tx.execute(update(mails).where(mails.c.id == mail_id).values(sent_at=now, body="", error=None))


async def mark_failed(tx: Tx, mail_id: str, error: str) -> None:
    """The far end refused it for now."""
    await tx.execute(update(mails).where(mails.c.id == mail_id).values(error=error))


async def find_mail(tx: Tx, mail_id: str) -> MailRow | None:
    """The mail with this id."""
    row = (await tx.execute(select(*_COLUMNS).where(mails.c.id == mail_id))).one_or_none()
    return MailRow(*row) if row else None


async def list_mails(
    tx: Tx, *, recipient: str | None, after: tuple[datetime, str] | None, limit: int
) -> Sequence[MailRow]:
    """Mails (to this address), newest first, after the position."""
    place = tuple_(mails.c.created_at, mails.c.id)
    statement = select(*_COLUMNS).order_by(place.desc()).limit(limit)
    if recipient is not None:
        statement = statement.where(mails.c.recipient == recipient)
    if after is not None:
        statement = statement.where(place < tuple_(*after))
    return [MailRow(*row) for row in await tx.execute(statement)]


async def purge(tx: Tx, *, sent_before: datetime, made_before: datetime) -> int:
    """Forgets what was sent, and what could not be, before these instants; how many."""
    sent = and_(mails.c.sent_at.is_not(None), mails.c.sent_at < sent_before)
    return (await tx.execute(delete(mails).where(or_(sent, mails.c.created_at < made_before)))).rowcount
