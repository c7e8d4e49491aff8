"""Second factors as stored: the secret of an authenticator app, recovery codes, and which a person has."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from infra.postgres.database import Tx
from infra.postgres.tables.credentials import passkeys, recovery_codes, totp_secrets


class Factors(NamedTuple):
    """What a person has set up. Recovery codes stand in for a factor, they are none: alone they demand nothing."""

    totp: bool
    passkeys: int
    recovery_codes: int

    @property
    def any(self) -> bool:
        """Whether a log-in demands a second step."""
        return self.totp or self.passkeys > 0

    @property
    def methods(self) -> tuple[str, ...]:
        """What a second step takes: of `totp`, `passkey`, `recovery_code`; none when no second step is demanded."""
        found = {"totp": self.totp, "passkey": self.passkeys > 0, "recovery_code": self.recovery_codes > 0}
        return tuple(name for name, there in found.items() if there) if self.any else ()


class TotpRow(NamedTuple):
    """An authenticator app. `last_step` is the newest time step whose code was used."""

    user_id: str
    sealed: bytes
    created_at: datetime
    confirmed_at: datetime | None
    last_step: int


_TOTP = [totp_secrets.c[name] for name in TotpRow._fields]


async def factors_of(tx: Tx, user_id: str) -> Factors:
    """What the person has set up and can use now."""
    counts = (
        select(func.count()).where(totp_secrets.c.user_id == user_id, totp_secrets.c.confirmed_at.is_not(None)),
        select(func.count()).where(passkeys.c.user_id == user_id),
        select(func.count()).where(recovery_codes.c.user_id == user_id, recovery_codes.c.used_at.is_(None)),
    )
    totp, keys, codes = (await tx.execute(select(*(one.scalar_subquery() for one in counts)))).one()
    return Factors(totp > 0, keys, codes)


async def methods_of(tx: Tx, user_id: str) -> tuple[str, ...]:
    """What a second step of the person's log-in takes: of `totp`, `passkey`, `recovery_code`; none: there is none."""
    return (await factors_of(tx, user_id)).methods


async def begin_totp(tx: Tx, user_id: str, sealed: bytes, now: datetime) -> bool:
    """Keeps a secret that is not confirmed yet, in place of one like it; False when one is confirmed already."""
    fresh = {"sealed": sealed, "created_at": now, "last_step": 0}
    statement = (
        upsert(totp_secrets)
        .values(user_id=user_id, **fresh)
        .on_conflict_do_update(index_elements=["user_id"], set_=fresh, where=totp_secrets.c.confirmed_at.is_(None))
    )
    return (await tx.execute(statement)).rowcount == 1


async def find_totp(tx: Tx, user_id: str) -> TotpRow | None:
    """The person's authenticator app, confirmed or not."""
    row = (await tx.execute(select(*_TOTP).where(totp_secrets.c.user_id == user_id))).one_or_none()
    return TotpRow(*row) if row else None


async def confirm_totp(tx: Tx, row: TotpRow, step: int, now: datetime) -> bool:
    """True when this very secret was waiting for its first code."""
    waiting = and_(totp_secrets.c.confirmed_at.is_(None), totp_secrets.c.sealed == row.sealed)
    statement = update(totp_secrets).where(totp_secrets.c.user_id == row.user_id, waiting)
    return (await tx.execute(statement.values(confirmed_at=now, last_step=step))).rowcount == 1


async def use_totp_step(tx: Tx, row: TotpRow, step: int) -> bool:
    """True for the first use of a code of this step; False when it, or a later one, was used before."""
    unused = and_(totp_secrets.c.last_step < step, totp_secrets.c.sealed == row.sealed)
    statement = update(totp_secrets).where(
        totp_secrets.c.user_id == row.user_id, totp_secrets.c.confirmed_at.is_not(None), unused
    )
    return (await tx.execute(statement.values(last_step=step))).rowcount == 1


async def delete_totp(tx: Tx, user_id: str) -> bool:
    """True when a confirmed one was there; a secret that waits for its first code goes too."""
    statement = delete(totp_secrets).where(totp_secrets.c.user_id == user_id).returning(totp_secrets.c.confirmed_at)
    return any(confirmed_at is not None for confirmed_at in (await tx.execute(statement)).scalars())


async def replace_recovery_codes(tx: Tx, user_id: str, hashes: Sequence[bytes], now: datetime) -> None:
    """These codes are the person's from now on, those before are void; none: all are void."""
    await delete_recovery_codes(tx, user_id)
    rows = [{"user_id": user_id, "hash": digest, "created_at": now} for digest in hashes]
    await tx.execute(insert(recovery_codes), rows)


async def delete_recovery_codes(tx: Tx, user_id: str) -> None:
    """All of the person's codes are void."""
    await tx.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))


async def use_recovery_code(tx: Tx, user_id: str, digest: bytes, now: datetime) -> bool | None:
    """True for the first use of a code, False for a later one, None when there is no such code."""
    mine = and_(recovery_codes.c.user_id == user_id, recovery_codes.c.hash == digest)
    statement = update(recovery_codes).where(mine, recovery_codes.c.used_at.is_(None)).values(used_at=now)
    if (await tx.execute(statement)).rowcount == 1:
        return True
    return False if (await tx.execute(select(recovery_codes.c.hash).where(mine))).one_or_none() else None
