"""The roles: each an async function that runs until `stop`, then drains. The API also needs its socket."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from api.app import create_app
from consumers.analytics import app as analytics
from consumers.audit import app as audit
from consumers.credits import app as credits
from consumers.credits.lots import activate_grants, expire_grants
from consumers.deadletters import app as deadletters
from consumers.webhooks import app as webhooks
from consumers.webhooks.dispatcher import Dispatcher, DispatcherOptions
from infra.app.compose import Hub
from infra.app.server import serve
from infra.http.addresses import AddressPolicy
from infra.http.sender import Sender
from infra.ids import new_id
from infra.ops.booked_through import booked_through
from infra.ops.dead_letters import count_parked
from infra.ops.forgetting import forget_logins
from infra.ops.mailing import forget_mails, send_due
from infra.ops.reconcile import reconcile
from infra.ops.sweeper import Step, sweep
from infra.ops.trail_copy import copy_trail
from infra.postgres import idempotency, limits
from producers.outbox import relay

Role = Callable[[Hub, asyncio.Event], Awaitable[None]]

LOTS_EVERY_S: Final = 1.0
MAIL_EVERY_S: Final = 1.0
COUNT_EVERY_S: Final = 15.0
COPY_EVERY_S: Final = 1.0
FORGET_EVERY_S: Final = 600.0
IDEMPOTENCY_KEPT: Final = timedelta(hours=24)
LIMITS_KEPT: Final = timedelta(hours=1)


async def run_api(hub: Hub, listener: socket.socket, stop: asyncio.Event) -> None:
    """The HTTP API on a socket that is bound already."""
    app = create_app(hub.api_deps())
    await serve(app, listener, stop)
    await app.state.background.close()


async def _api(hub: Hub, stop: asyncio.Event) -> None:
    raise AssertionError("the API is run by run_api: it needs its socket")


async def _credits(hub: Hub, stop: asyncio.Event) -> None:
    await credits.build(hub.database, kafka=hub.kafka, producer=hub.producer, clock=hub.clock).run(stop)


async def _analytics(hub: Hub, stop: asyncio.Event) -> None:
    await analytics.build(hub.clickhouse, kafka=hub.kafka, producer=hub.producer, clock=hub.clock).run(stop)


async def _webhooks(hub: Hub, stop: asyncio.Event) -> None:
    await webhooks.build(hub.database, kafka=hub.kafka, producer=hub.producer, clock=hub.clock).run(stop)


async def _audit(hub: Hub, stop: asyncio.Event) -> None:
    await audit.build(hub.database, kafka=hub.kafka, producer=hub.producer, clock=hub.clock).run(stop)


async def _deadletters(hub: Hub, stop: asyncio.Event) -> None:
    await deadletters.build(hub.database, kafka=hub.kafka, producer=hub.producer, clock=hub.clock).run(stop)


async def _deliveries(hub: Hub, stop: asyncio.Event) -> None:
    options = DispatcherOptions(name=hub.settings.instance or new_id("dispatcher"), sealer=hub.settings.sealer)
    async with Sender(AddressPolicy.allowing(hub.settings.webhook_allow)) as sender:
        await Dispatcher(hub.database, sender, hub.clock, options).run(stop)


async def _relay(hub: Hub, stop: asyncio.Event) -> None:
    await relay(hub.database, hub.producer, stop=stop)


async def _sweeper(hub: Hub, stop: asyncio.Event) -> None:
    async def lots() -> None:
        through = await booked_through(hub.database, hub.log_reader, hub.clock)
        if through is not None:
            await activate_grants(hub.database, hub.clock, through=through)
            await expire_grants(hub.database, hub.clock, through=through)

    async def compare() -> object:
        return await reconcile(hub.reconcile_deps(), since_marks=True)

    async def count() -> object:
        return await count_parked(hub.database)

    async def forget() -> None:
        async with hub.database.transaction() as tx:
            await idempotency.purge(tx, hub.clock.now() - IDEMPOTENCY_KEPT)
            await limits.purge(tx, hub.clock.now() - LIMITS_KEPT)

    async def copy() -> object:
        return await copy_trail(hub.database, hub.clickhouse)

    async def forget_people() -> None:
        await forget_logins(hub.database, hub.clock)
        await forget_mails(hub.database, hub.clock)

    async def mail() -> object:
        smtp = hub.settings.smtp
        return smtp and await send_due(hub.database, hub.clock, hub.settings.sealer, smtp)

    steps = (
        Step("send mail", MAIL_EVERY_S, mail),
        Step("forget log-ins and mail", FORGET_EVERY_S, forget_people),
        Step("copy the audit trail", COPY_EVERY_S, copy),
        Step("begin and end grants", LOTS_EVERY_S, lots),
        Step("count dead letters", COUNT_EVERY_S, count),
        Step("forget idempotency keys and limits", FORGET_EVERY_S, forget),
        Step("reconcile", hub.settings.reconcile_every_s, compare),
    )
    await sweep(steps, stop)


ROLES: Final[dict[str, Role]] = {
    "api": _api,
    "credits": _credits,
    "analytics": _analytics,
    "webhooks": _webhooks,
    "deliveries": _deliveries,
    "relay": _relay,
    "sweeper": _sweeper,
    "audit": _audit,
    "deadletters": _deadletters,
}
