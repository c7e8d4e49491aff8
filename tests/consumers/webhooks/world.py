"""Endpoints, events and dispatchers for the tests of this folder."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text

from consumers.batch import Batch, Record
from consumers.webhooks.dispatcher import Dispatcher, DispatcherOptions
from consumers.webhooks.handlers import FanOut
from contracts import catalog
from contracts.envelope import Envelope
from contracts.events.base import EventData
from contracts.events.ledger import BalanceLowV1
from infra.clock import Clock
from infra.crypto import new_webhook_secret
from infra.http.addresses import AddressPolicy
from infra.http.sender import Sender
from infra.ids import new_id
from infra.postgres.database import Database
from infra.postgres.webhooks_endpoints import EndpointRow, save_endpoint
from tests.support.clock import FakeClock
from tests.support.eventually import eventually

LOOPBACK = AddressPolicy.allowing(["127.0.0.0/8"])
ORGANIZATION = "org_1"


async def make_endpoint(
    database: Database,
    url: str,
    *,
    organization: str = ORGANIZATION,
    event_types: Sequence[str] = ("*",),
    enabled: bool = True,
    headers: dict[str, str] | None = None,
    secret: str | None = None,
    clock: Clock | None = None,
) -> str:
    """The id of a new endpoint."""
    now = (clock or FakeClock()).now()
    row = EndpointRow(
        id=new_id("we"),
        organization_id=organization,
        url=url,
        description=None,
        event_types=list(event_types),
        enabled=enabled,
        headers=headers or {},
        created_at=now,
        updated_at=now,
        disabled_at=None,
        disabled_reason=None,
        failures=0,
        failing_since=None,
        breaker_until=None,
    )
    async with database.transaction() as tx:
        await save_endpoint(tx, row, secret or new_webhook_secret())
    return row.id


def fact(event_id: str, clock: Clock, organization: str = ORGANIZATION, data: EventData | None = None) -> Record:
    """A fact as the runtime hands it over; without `data` a low balance."""
    data = data or BalanceLowV1.model_validate(BalanceLowV1.EXAMPLE)
    return record(
        catalog.state(data, event_id=event_id, source="/hub/ledger", organization=organization, now=clock.now()), data
    )


def record(envelope: Envelope, data: EventData, headers: tuple[tuple[str, bytes], ...] = ()) -> Record:
    """The record of an envelope."""
    key, value = envelope.organization.encode(), catalog.encode(envelope)
    return Record(data.TOPIC, 0, 0, key, value, headers, 0, envelope, data)


def batch(*records: Record) -> Batch[Record]:
    """A batch of records."""
    return Batch(records)


@asynccontextmanager
async def dispatching(
    database: Database, clock: Clock, *, name: str = "one", deadline_s: float = 5.0, **options: Any
) -> AsyncIterator[asyncio.Task[None]]:
    """A dispatcher that runs, and is stopped in good order at the end unless the test has ended it itself."""
    stop = asyncio.Event()
    async with Sender(LOOPBACK, deadline_s=deadline_s) as sender:
        options = {"poll_s": 0.05, "chance": lambda: 0.5, **options}
        dispatcher = Dispatcher(database, sender, clock, DispatcherOptions(name=name, **options))
        task = asyncio.create_task(dispatcher.run(stop))
        yield task
        stop.set()
        if not task.cancelled():
            async with asyncio.timeout(20):
                await task


async def tell(database: Database, clock: Clock, *events: str, organization: str = ORGANIZATION) -> None:
    """Facts with these ids, fanned out."""
    await FanOut(database, clock)(batch(*(fact(event, clock, organization) for event in events)))


async def rows(database: Database, query: str, **values: Any) -> list[Any]:
    """What a query finds."""
    async with database.transaction() as tx:
        return list(await tx.execute(text(query), values))


async def states(database: Database) -> dict[str, int]:
    """How many deliveries are in each state."""
    return {row[0]: row[1] for row in await rows(database, "SELECT state, count(*) FROM webhook_deliveries GROUP BY 1")}


async def become(database: Database, **wanted: int) -> None:
    """Waits until so many deliveries, and no others, are in these states."""

    async def reached() -> bool:
        return await states(database) == wanted

    await eventually(reached, within_s=30)


async def one_delivery(database: Database) -> Any:
    """The only delivery there is."""
    (row,) = await rows(database, "SELECT state, attempts, due_at, last_status, last_error FROM webhook_deliveries")
    return row
