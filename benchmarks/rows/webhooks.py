"""Webhook deliveries with their attempts stored, against an aiohttp client that stores nothing."""

import asyncio
import time
from collections.abc import Sequence
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

DELIVERIES: Final = 10_000
ENDPOINTS: Final = 8
SECRET: Final = "whsec_" + "YWlodWItYmVuY2htYXJrcy1zZWNyZXQtMzI="
ORGANIZATION: Final = "org_bench"
IN_FLIGHT: Final = 64
"""Eight endpoints with a limit of eight each."""
PAGE: Final = 1_000
PENDING: Final = "SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'"


async def measure(world: World, size: Size) -> list[Row]:
    """The rows."""
    count = size.events(DELIVERIES)
    bodies = _bodies(count)
    database = Database.open(await world.database(), pool_size=10)
    postgres = world.engines.postgres.pid
    cpu: list[float] = []
    async with child("benchmarks.receiver") as receiver:
        urls = [f"http://127.0.0.1:{port}/hook" for port in await receiver.ask("listen", ports=ENDPOINTS)]
        endpoints = await _endpoints(database, urls)

        async def hub(number: int) -> float:
            await _due(database, endpoints, bodies, number)
            await receiver.ask("counted")
            before = _cpu(postgres)
            rate = await _deliver(database, receiver, count)
            cpu.append((_cpu(postgres) - before) / count * 1000)
            return rate

        async def bare(_: int) -> float:
            return count / await post_all(urls, SECRET, bodies, IN_FLIGHT)

        found = await interleaved({"hub": hub, "bare": bare}, size.repetitions)
    await database.close()
    rates = {name: median(values) for name, values in found.items()}
    return [
        Row("webhooks", rates["hub"], "deliveries/s", rates["bare"], 0.5,
            note=f"{ENDPOINTS} endpoints, attempts stored; limit: aiohttp, {IN_FLIGHT} at once"),
        Row("webhooks.cpu", median(cpu), "CPU-s per 1,000", None, 1.0, "<=", "value",
            note="dispatcher and PostgreSQL together"),
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


async def _due(database: Database, endpoints: Sequence[str], bodies: Sequence[str], number: int) -> None:
    """Writes the bodies down as deliveries that are due, as the fan-out does."""
    for start in range(0, len(bodies), PAGE):
        messages = [
            NewMessage(new_uuid(), ORGANIZATION, f"evt-{number}-{start + at}", "/benchmarks", "service.completed", body,
                       None, None, None, ((new_uuid(), endpoints[at % len(endpoints)]),))
            for at, body in enumerate(bodies[start : start + PAGE])
        ]  # fmt: skip
        async with database.transaction() as tx:
            await insert_messages(tx, messages, SystemClock().now())


async def _deliver(database: Database, receiver: Child, count: int) -> float:
    """Deliveries a second, from the first request at the far end until the last attempt is stored."""
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
