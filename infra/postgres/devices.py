"""Devices that people logged in from."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, delete, insert, select, update

from infra.postgres.database import Tx
from infra.postgres.tables.credentials import devices


class DeviceRow(NamedTuple):
    """One device. `name` is sealed under the person's key; until `trusted_until` it needs no second factor."""

    hash: bytes
    user_id: str
    name: str
    created_at: datetime
    last_used_at: datetime
    trusted_until: datetime | None = None


_COLUMNS = [devices.c[name] for name in DeviceRow._fields]


async def save_device(tx: Tx, device: DeviceRow) -> None:
    """A new device."""
    await tx.execute(insert(devices).values(**device._asdict()))


async def find_device(tx: Tx, digest: bytes, user_id: str) -> DeviceRow | None:
    """The person's device whose token has this hash."""
    mine = and_(devices.c.hash == digest, devices.c.user_id == user_id)
    row = (await tx.execute(select(*_COLUMNS).where(mine))).one_or_none()
    return DeviceRow(*row) if row else None


async def touch(tx: Tx, digest: bytes, now: datetime) -> None:
    """The device was used."""
    await tx.execute(update(devices).where(devices.c.hash == digest).values(last_used_at=now))


async def trust(tx: Tx, digest: bytes, until: datetime) -> None:
    """The device needs no second factor until then."""
    await tx.execute(update(devices).where(devices.c.hash == digest).values(trusted_until=until))


async def trusted_devices(tx: Tx, user_id: str, now: datetime) -> list[DeviceRow]:
    """The person's devices that need no second factor, the last used first."""
    mine = and_(devices.c.user_id == user_id, devices.c.trusted_until > now)
    rows = await tx.execute(select(*_COLUMNS).where(mine).order_by(devices.c.last_used_at.desc(), devices.c.hash))
    return [DeviceRow(*row) for row in rows]


async def distrust(tx: Tx, user_id: str) -> None:
    """Every device of the person needs the second factor again."""
    await tx.execute(update(devices).where(devices.c.user_id == user_id).values(trusted_until=None))


async def forget_devices(tx: Tx, user_id: str) -> None:
    """None of the person's devices is known any more."""
    await tx.execute(delete(devices).where(devices.c.user_id == user_id))


async def purge(tx: Tx, before: datetime) -> int:
    """Forgets devices that were not used since; how many."""
    return (await tx.execute(delete(devices).where(devices.c.last_used_at < before))).rowcount
