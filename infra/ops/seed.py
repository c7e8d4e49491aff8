"""The first data of an installation: two organizations with keys, credits and prices. Running it again adds nothing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from contracts.catalog import state
from contracts.envelope import Envelope
from contracts.events.base import SYSTEM_SOURCE
from contracts.events.credits import CreditsGrantedV1
from contracts.types import MICROS_PER_CREDIT
from infra.clock import Clock
from infra.crypto import hash_api_key, new_api_key
from infra.ids import new_id
from infra.ops.seed_prices import seed_prices
from infra.postgres.database import Database
from infra.postgres.keys import KeyRow, OrganizationRow, save_key, save_organization
from producers.publisher import Publisher

WELCOME_MICROS: Final = 1_000_000 * MICROS_PER_CREDIT
MEMBER_SCOPES: Final = ("events:*", "credits:read", "analytics:read", "webhooks:*", "keys:*", "organizations:read")
ADMIN_SCOPES: Final = ("*", "system:*")


@dataclass(frozen=True, slots=True)
class SeedKey:
    """One key that the seed makes: whose it is, under which name, and what it may do."""

    slot: str
    organization_id: str
    name: str
    scopes: tuple[str, ...]


ORGANIZATIONS: Final = (("org_acme", "Acme"), ("org_globex", "Globex"))
KEYS: Final = (
    SeedKey("admin", "org_acme", "first admin key", ADMIN_SCOPES),
    SeedKey("org_acme", "org_acme", "demo", MEMBER_SCOPES),
    SeedKey("org_globex", "org_globex", "demo", MEMBER_SCOPES),
)


def new_keys() -> dict[str, str]:
    """A fresh key for every slot: keep them, the database only stores hashes."""
    return {key.slot: new_api_key() for key in KEYS}


async def seed(database: Database, publisher: Publisher, clock: Clock, *, pepper: bytes, keys: dict[str, str]) -> None:
    """Organizations, these keys, and the welcome grant as an event of one identity.

    Raises: DatabaseUnavailable, BrokerUnavailable.
    """
    now = clock.now()
    await seed_prices(database, clock)
    await _save(database, now, pepper, keys)
    await publisher.publish([_welcome(organization_id, now) for organization_id, _name in ORGANIZATIONS])


async def _save(database: Database, now: datetime, pepper: bytes, keys: dict[str, str]) -> None:
    async with database.transaction() as tx:
        for organization_id, name in ORGANIZATIONS:
            await save_organization(tx, OrganizationRow(organization_id, name, now))
        for key in KEYS:
            secret = keys[key.slot]
            row = KeyRow(new_id("key"), key.organization_id, key.name, secret[-4:], list(key.scopes), now, None, None)
            await save_key(tx, row, hash_api_key(secret, pepper))


def _welcome(organization_id: str, now: datetime) -> Envelope:
    data = CreditsGrantedV1(amount_micros=WELCOME_MICROS, source="bonus", reason="Welcome credits")
    return state(
        data,
        event_id=f"welcome-{organization_id}",
        source=f"{SYSTEM_SOURCE}/seed",
        organization=organization_id,
        now=now,
    )
