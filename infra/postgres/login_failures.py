"""Who failed to prove who they are, and how often (contracts/rules/throttle.py). Lost in a crash, which frees them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import delete, select, text, update

from contracts.rules.throttle import Failures
from infra.postgres.database import Tx
from infra.postgres.tables.credentials import login_failures

_PLACE: Final = text("""
    INSERT INTO login_failures (subject, failures, since, next_at)
    SELECT subject, 0, :now, :now FROM unnest(CAST(:subjects AS text[])) AS subject ORDER BY subject
    ON CONFLICT DO NOTHING
""")
_COLUMNS = (login_failures.c.subject, login_failures.c.failures, login_failures.c.since, login_failures.c.next_at)


async def place(tx: Tx, subjects: Sequence[str], now: datetime) -> None:
    """Makes the rows that `lock` will lock."""
    await tx.execute(_PLACE, {"subjects": sorted(subjects), "now": now})


async def lock(tx: Tx, subjects: Sequence[str]) -> Mapping[str, Failures]:
    """What is remembered of these subjects; nobody else may change it until the transaction ends."""
    mine = login_failures.c.subject.in_(sorted(subjects))
    rows = await tx.execute(select(*_COLUMNS).where(mine).order_by(login_failures.c.subject).with_for_update())
    return {row.subject: Failures(row.failures, row.since, row.next_at) for row in rows}


async def read(tx: Tx, subjects: Sequence[str]) -> Mapping[str, Failures]:
    """What is remembered of these subjects."""
    rows = await tx.execute(select(*_COLUMNS).where(login_failures.c.subject.in_(sorted(subjects))))
    return {row.subject: Failures(row.failures, row.since, row.next_at) for row in rows}


async def keep(tx: Tx, subject: str, failures: Failures) -> None:
    """What is remembered of a locked subject from now on."""
    await tx.execute(update(login_failures).where(login_failures.c.subject == subject).values(**failures._asdict()))


async def forget(tx: Tx, subjects: Sequence[str]) -> None:
    """Nothing is remembered of these subjects any more."""
    await tx.execute(delete(login_failures).where(login_failures.c.subject.in_(sorted(subjects))))


async def purge(tx: Tx, before: datetime) -> int:
    """Forgets windows that began before that instant; how many."""
    return (await tx.execute(delete(login_failures).where(login_failures.c.since < before))).rowcount
