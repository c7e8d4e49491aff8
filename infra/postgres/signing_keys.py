"""The keys that sign access tokens."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import delete, insert, select, text

from infra.postgres.database import Tx
from infra.postgres.tables.credentials import signing_keys

_LOCK: Final = 7_261_007
"""Advisory lock: two processes that both find no key make one."""


class SigningKeyRow(NamedTuple):
    """A key pair, its private half sealed. It signs until the one instant and verifies until the other."""

    id: str
    public: dict[str, Any]
    sealed: bytes
    created_at: datetime
    signs_until: datetime
    verifies_until: datetime


_COLUMNS = [signing_keys.c[name] for name in SigningKeyRow._fields]


async def lock(tx: Tx) -> None:
    """One at a time may make a key, until the transaction ends."""
    await tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


async def usable(tx: Tx, now: datetime) -> Sequence[SigningKeyRow]:
    """The keys that still verify, the newest first."""
    statement = select(*_COLUMNS).where(signing_keys.c.verifies_until > now).order_by(signing_keys.c.created_at.desc())
    return [SigningKeyRow(*row) for row in await tx.execute(statement)]


async def save(tx: Tx, key: SigningKeyRow) -> None:
    """One more key."""
    await tx.execute(insert(signing_keys).values(**key._asdict()))


async def purge(tx: Tx, now: datetime) -> None:
    """Removes the keys whose last token has expired."""
    await tx.execute(delete(signing_keys).where(signing_keys.c.verifies_until <= now))
