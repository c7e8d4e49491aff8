"""Passkeys (WebAuthn credentials) as stored."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from infra.postgres.database import Tx
from infra.postgres.tables.credentials import passkeys


class PasskeyRow(NamedTuple):
    """One passkey. `public_key` is a COSE key; `backed_up`: it lives in more places than one device."""

    credential_id: bytes
    id: str
    user_id: str
    public_key: bytes
    sign_count: int
    transports: Sequence[str]
    backed_up: bool
    name: str
    created_at: datetime
    last_used_at: datetime | None = None


_COLUMNS = [passkeys.c[name] for name in PasskeyRow._fields]


async def save_passkey(tx: Tx, row: PasskeyRow) -> bool:
    """False when the credential is known already, whoever has it."""
    values = {**row._asdict(), "transports": list(row.transports)}
    return (await tx.execute(insert(passkeys).values(**values).on_conflict_do_nothing())).rowcount == 1


async def find_passkey(tx: Tx, credential_id: bytes) -> PasskeyRow | None:
    """The passkey with this credential id."""
    row = (await tx.execute(select(*_COLUMNS).where(passkeys.c.credential_id == credential_id))).one_or_none()
    return PasskeyRow(*row) if row else None


async def passkeys_of(tx: Tx, user_id: str) -> list[PasskeyRow]:
    """The person's passkeys, the oldest first."""
    rows = await tx.execute(select(*_COLUMNS).where(passkeys.c.user_id == user_id).order_by(passkeys.c.id))
    return [PasskeyRow(*row) for row in rows]


async def use_passkey(tx: Tx, credential_id: bytes, sign_count: int, backed_up: bool, now: datetime) -> bool:
    """True when the signature counter went up, or is one that never counts (WebAuthn, section 6.1.1)."""
    went_up = passkeys.c.sign_count < sign_count if sign_count else passkeys.c.sign_count == 0
    statement = update(passkeys).where(passkeys.c.credential_id == credential_id, went_up)
    values = {"sign_count": sign_count, "backed_up": backed_up, "last_used_at": now}
    return (await tx.execute(statement.values(**values))).rowcount == 1


async def rename_passkey(tx: Tx, user_id: str, passkey_id: str, name: str) -> PasskeyRow | None:
    """The passkey under its new name; None when the person has no such passkey."""
    mine = and_(passkeys.c.user_id == user_id, passkeys.c.id == passkey_id)
    row = (await tx.execute(update(passkeys).where(mine).values(name=name).returning(*_COLUMNS))).one_or_none()
    return PasskeyRow(*row) if row else None


async def delete_passkey(tx: Tx, user_id: str, passkey_id: str) -> bool:
    """True when it was there."""
    mine = and_(passkeys.c.user_id == user_id, passkeys.c.id == passkey_id)
    return (await tx.execute(delete(passkeys).where(mine))).rowcount == 1
