"""Webhook deliveries with their attempts stored, against an aiohttp client that stores nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from benchmarks.bare.webhooks import post_all
from benchmarks.events import records, usage
from benchmarks.measure import Size, interleaved, median
from benchmarks.processes import Child, child, cpu_s, tree
from benchmarks.report import Row
from benchmarks.world import World
from consumers.webhooks.dispatcher import Dispatcher, DispatcherOptions
from contracts import catalog
from contracts.rules.webhooks import payload
from infra.clock import SystemClock
from infra.http.addresses import AddressPolicy
from infra.http.sender import Sender
from infra.ids import new_id, new_uuid
from infra.postgres.database import Database, raw
from infra.postgres.webhooks_endpoints import EndpointRow, save_endpoint
from infra.postgres.webhooks_fanout import NewMessage, insert_messages

DELIVERIES: Final = 20_000
ENDPOINTS: Final = 8
SECRET: Final = "whsec_" + "YWlodWItYmVuY2htYXJrcy1zZWNyZXQtMzI="
ORGANIZATION: Final = "org_bench"
IN_FLIGHT: Final = 64
"""Eight endpoints with a limit of eight each."""
PAGE: Final = 1_000
PENDING: Final = "SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'"


@dataclass(frozen=True, slots=True)
class OpenWebhooks:
    """A database with endpoints, the receiver behind them, and the bodies that they are to get."""

    database: Database
    receiver: Child
    urls: Sequence[str]
    endpoints: Sequence[str]
    bodies: Sequence[str]

    async def fill(self, prefix: str) -> None:
        """Writes the bodies down as deliveries that are due, as the fan-out does."""
        await _due(self.database, self.endpoints, self.bodies, prefix)
        await self.receiver.ask("counted")

    async def deliver(self) -> float:
        """Deliveries a second, from the first request at the far end until the last attempt is stored."""
        return await _deliver(self.database, self.receiver, len(self.bodies))


@asynccontextmanager
async def open_webhooks(world: World, count: int) -> AsyncIterator[OpenWebhooks]:
    """A receiver, endpoints there and so many bodies, until the block ends."""
    database = Database.open(await world.database(), pool_size=10)
    async with child("benchmarks.receiver") as receiver:
        urls = [f"http://127.0.0.1:{port}/hook" for port in await receiver.ask("listen", ports=ENDPOINTS)]
        yield OpenWebhooks(database, receiver, urls, await _endpoints(database, urls), _bodies(count))
    await database.close()


async def measure(world: World, size: Size) -> list[Row]:
    """The rows."""
    count = size.events(DELIVERIES)
    postgres = world.engines.postgres.pid
    cpu: dict[str, list[float]] = {"hub": [], "bare": []}
    async with open_webhooks(world, count) as opened:

        async def hub(number: int) -> float:
            await opened.fill(str(number))
            before = _cpu(postgres)
            rate = await opened.deliver()
            cpu["hub"].append((_cpu(postgres) - before) / count * 1000)
            return rate

        async def bare(_: int) -> float:
            before = time.process_time()
            rate = count / await post_all(opened.urls, SECRET, opened.bodies, IN_FLIGHT)
            cpu["bare"].append((time.process_time() - before) / count * 1000)
            return rate

        found = await interleaved({"hub": hub, "bare": bare}, size.repetitions)
    rates = {name: median(values) for name, values in found.items()}
    return [
        Row("webhooks", rates["hub"], "deliveries/s", rates["bare"], 0.5,
            note=f"{ENDPOINTS} endpoints, attempts stored; limit: aiohttp, {IN_FLIGHT} at once"),
        Row("webhooks.cpu", median(cpu["hub"]), "CPU-s per 1,000", median(cpu["bare"]), 1.0, "<=", "value",
            note="dispatcher and PostgreSQL together; limit: the bare client, which stores nothing"),
    ]  # fmt: skip


def _cpu(postgres: int | None) -> float:
    return time.process_time() + sum(cpu_s(pid) for pid in tree(postgres or 0))


def _bodies(count: int) -> list[str]:
    found = []
    for value in records(usage(count, "w"), [ORGANIZATION])[ORGANIZATION]:
        envelope, data = catalog.decode(value)
        found.append(payload("service.completed", envelope, data))
    return found


async def _endpoints(database: Database, urls: Sequence[str]) -> list[str]:
    now, ids = SystemClock().now(), [new_id("we") for _ in urls]
    async with database.transaction() as tx:
        for endpoint, url in zip(ids, urls, strict=True):
            row = EndpointRow(endpoint, ORGANIZATION, url, None, ["*"], True, {}, now, now, None, None, 0, None, None)
            await save_endpoint(tx, row, SECRET)
    return ids


async def _due(database: Database, endpoints: Sequence[str], bodies: Sequence[str], prefix: str) -> None:
    for start in range(0, len(bodies), PAGE):
        messages = [
            NewMessage(new_uuid(), ORGANIZATION, f"evt-{prefix}-{start + at}", "/benchmarks", "service.completed", body,
                       None, None, None, ((new_uuid(), endpoints[at % len(endpoints)]),))
            for at, body in enumerate(bodies[start : start + PAGE])
        ]  # fmt: skip
        async with database.transaction() as tx:
            await insert_messages(tx, messages, SystemClock().now())


async def _deliver(database: Database, receiver: Child, count: int) -> float:
    stop = asyncio.Event()
    async with Sender(AddressPolicy.allowing(("127.0.0.0/8",))) as sender:
        dispatcher = Dispatcher(database, sender, SystemClock(), DispatcherOptions(name=new_id("bench")))
        role = asyncio.ensure_future(dispatcher.run(stop))
        async with asyncio.timeout(300):
            while await _pending(database):  # noqa: ASYNC110 - the database's doing raises no event here
                await asyncio.sleep(0.05)
        ended = time.monotonic()
        stop.set()
        await role
    counted = await receiver.ask("counted")
    assert counted["count"] >= count, counted
    return count / (ended - counted["first"])


async def _pending(database: Database) -> int:
    async with database.transaction() as tx:
        found: int = await (await raw(tx)).fetchval(PENDING)
    return found
