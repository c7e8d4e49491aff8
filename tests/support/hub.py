"""A whole hub inside the test's process: every role, on topics, database and ClickHouse database of its own."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import SecretStr

from infra.app.compose import Hub, open_hub
from infra.app.roles import ROLES, run_api
from infra.app.server import bind
from infra.app.supervise import keep_running
from infra.clickhouse.client import ClickHouse
from infra.embedded.engines import Engines
from infra.http.hub_client import HubClient
from infra.kafka.options import KafkaOptions
from infra.ops.migrate import migrate_all
from infra.ops.seed import new_keys, seed
from infra.settings import Settings
from tests.support.eventually import eventually

SECRET = "a-secret-of-a-test-that-is-long-enough-0123456789"


@dataclass
class RunningHub:
    """The hub, its address, and the seeded keys; `admin` may do everything, `acme` is an organization's client."""

    hub: Hub
    url: str
    keys: dict[str, str]
    admin: HubClient
    acme: HubClient
    stop: asyncio.Event

    async def settled(self, organization: str = "org_acme", *, within_s: float = 30) -> dict[str, Any]:
        """The balance once the ledger has booked everything that was accepted before this call."""
        before = self.hub.clock.now().isoformat()

        async def booked() -> dict[str, Any] | None:
            answer = await self.acme.get("/v1/credits/balance")
            return answer if answer["meta"].get("complete_through", "") >= before.replace("+00:00", "Z") else None

        return await eventually(booked, within_s=within_s)


def settings_of(engines: Engines, kafka: KafkaOptions, dsn: str, name: str, **changes: Any) -> Settings:
    """Settings of a hub on these engines."""
    return Settings(
        kafka_bootstrap=engines.kafka_bootstrap,
        kafka_topic_prefix=kafka.topics.prefix,
        kafka_partitions=kafka.partitions,
        postgres_dsn=SecretStr(dsn),
        postgres_pool=20,
        clickhouse_database=name,
        secret=SecretStr(SECRET),
        instance=name,
        webhook_allow=("127.0.0.0/8",),
        reconcile_every_s=3600,
        rate_limiting=False,
        **changes,
    )


@asynccontextmanager
async def running_hub(
    engines: Engines, settings: Settings, *, without: Collection[str] = (), migrated: bool = False
) -> AsyncIterator[RunningHub]:
    """All roles but `without`, seeded; they drain at the end."""
    clickhouse = ClickHouse.open_chdb(engines.clickhouse_path, settings.clickhouse_database)
    keys, stop = new_keys(), asyncio.Event()
    listener = bind(settings.host, None, 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with open_hub(settings, clickhouse) as hub, asyncio.TaskGroup() as tasks:
        await migrate_all(hub.kafka, hub.database, hub.clickhouse)
        await seed(hub.database, hub.publisher, hub.clock, pepper=hub.pepper, keys=keys)
        for name, run in ROLES.items():
            if name == "api":
                tasks.create_task(run_api(hub, listener, stop))
            elif name not in without:
                tasks.create_task(keep_running(name, partial(run, hub), stop))
        try:
            async with HubClient(url, keys["admin"]) as admin, HubClient(url, keys["org_acme"]) as acme:
                yield RunningHub(hub, url, keys, admin, acme, stop)
        finally:
            stop.set()
