"""Devices that need no second factor: for 30 days, if the person wished it at a log-in."""

from api.core.persons import opened, person_sealers
from api.core.principal import Principal
from api.core.visits import Visit
from api.factors.schemas import TrustedDeviceOut
from contracts.errors import NotFound
from infra.postgres import devices as store
from infra.postgres.devices import DeviceRow


async def listed(visit: Visit, who: Principal) -> list[TrustedDeviceOut]:
    """The devices, the last used first."""
    async with visit.deps.database.unscoped() as tx:
        rows = await store.trusted_devices(tx, who.user_id, visit.now)
        sealers = await person_sealers(tx, visit.deps.sealer, (who.user_id,))
    return [
        TrustedDeviceOut(
            id=_id(row),
            name=opened(sealers, who.user_id, row.name),
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            trusted_until=row.trusted_until or visit.now,
        )
        for row in rows
    ]


async def distrust(visit: Visit, who: Principal, device_id: str) -> None:
    """It needs the second factor again. Raises: NotFound."""
    async with visit.deps.database.unscoped() as tx:
        rows = await store.trusted_devices(tx, who.user_id, visit.now)
        found = next((row for row in rows if _id(row) == device_id), None)
        if found is None:
            raise NotFound("You have no such device.")
        await store.trust(tx, found.hash, visit.now)


async def distrust_all(visit: Visit, who: Principal) -> None:
    """Every device needs the second factor again."""
    async with visit.deps.database.unscoped() as tx:
        await store.distrust(tx, who.user_id)


def _id(row: DeviceRow) -> str:
    """Names the device; says nothing of its token."""
    return row.hash.hex()[:32]
