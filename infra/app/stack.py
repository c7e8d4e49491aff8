"""The embedded stack: real engines and every role, in one process tree."""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import orjson
import structlog
from pydantic import SecretStr

from infra.app import runfile
from infra.app.compose import Hub, kafka_options, open_hub, postgres_dsn
from infra.app.display import Display
from infra.app.roles import ROLES, run_api
from infra.app.server import bind
from infra.app.supervise import keep_running
from infra.clickhouse.client import ClickHouse
from infra.embedded.engines import EmbeddedOptions, Engines, start_engines
from infra.ops.migrate import migrate_all
from infra.ops.seed import new_keys, seed
from infra.settings import Settings

log = structlog.get_logger()

API_PORT: Final = 8080
POOL: Final = 40


@dataclass(slots=True)
class Stack:
    """A running stack; `keys` are the seeded API keys by slot."""

    hub: Hub
    engines: Engines
    url: str
    keys: dict[str, str]
    stop: asyncio.Event
    failed: list[str] = field(default_factory=list)


@asynccontextmanager
async def embedded_engines(settings: Settings, display: Display) -> AsyncIterator[Engines]:
    """The engines on the home directory. Raises: EmbeddedError."""

    def on_step(name: str, done: bool) -> None:
        display.step(f"{name} {'ready' if done else 'starts'}")

    options = EmbeddedOptions(
        home=settings.home,
        kafka_port=settings.kafka_port,
        postgres_port=settings.postgres_port,
        on_step=on_step,
    )
    async with start_engines(options) as engines:
        yield engines


def embedded_settings(settings: Settings, engines: Engines) -> Settings:
    """The settings with the addresses of the engines and the secret that this home keeps."""
    return settings.model_copy(
        update={
            "kafka_bootstrap": engines.kafka_bootstrap,
            "postgres_dsn": SecretStr(engines.postgres_dsn),
            "postgres_pool": POOL,
            "secret": settings.secret or SecretStr(_kept(settings, "secret", lambda: secrets.token_urlsafe(48))),
            "instance": settings.instance or "embedded",
            "webhook_allow": (*settings.webhook_allow, "127.0.0.0/8", "::1/128"),
        }
    )


def _kept(settings: Settings, name: str, make: Any) -> str:
    """A file of the home directory, mode 0600, made at the first call."""
    path = settings.home / name
    if not path.exists():
        runfile.write_private(path, make().encode())
    return path.read_text()


@asynccontextmanager
async def start_stack(settings: Settings, display: Display) -> AsyncIterator[Stack]:
    """Engines, schema, seed and all roles; everything drains and stops when the block ends.

    Raises: EngineError, ConfigError, Unavailable.
    """
    with contextlib.closing(bind(settings.host, settings.port, API_PORT)) as listener:
        async with _started(settings, display, listener) as stack:
            yield stack


@asynccontextmanager
async def _started(settings: Settings, display: Display, listener: socket.socket) -> AsyncIterator[Stack]:
    async with embedded_engines(settings, display) as engines:
        settings = embedded_settings(settings, engines)
        keys: dict[str, str] = orjson.loads(_kept(settings, "keys.json", lambda: orjson.dumps(new_keys()).decode()))
        clickhouse = ClickHouse.open_chdb(engines.clickhouse_path, settings.clickhouse_database)
        async with open_hub(settings, clickhouse) as hub:
            await migrate_all(hub.kafka, hub.database, hub.clickhouse)
            await seed(hub.database, hub.publisher, hub.clock, pepper=hub.pepper, keys=keys)
            url = f"http://{settings.host}:{listener.getsockname()[1]}"
            stack = Stack(hub, engines, url, keys, asyncio.Event())
            async with _roles_running(stack, listener):
                display.step(f"all {len(ROLES)} roles run, the API is on {url}")
                yield stack


@asynccontextmanager
async def _roles_running(stack: Stack, listener: socket.socket) -> AsyncIterator[None]:
    """Every role until the block ends, also by an error: they drain before it goes on its way."""
    failed: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(_watch_engines(stack))
        for name, run in ROLES.items():
            if name == "api":
                tasks.create_task(run_api(stack.hub, listener, stack.stop), name=name)
            else:
                tasks.create_task(keep_running(name, partial(run, stack.hub), stack.stop), name=name)
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again once the roles have drained
            failed = error
        stack.stop.set()
        watch.cancel()
    if failed is not None:
        raise failed


async def _watch_engines(stack: Stack) -> None:
    """An engine that dies is started again: its data is on disk, clients reconnect by themselves."""
    while not stack.stop.is_set():
        log.error("engine died; it starts again", reason=await stack.engines.died())
        for server in (stack.engines.kafka, stack.engines.postgres):
            if not server.running and not stack.stop.is_set():
                await server.start()


def run_info(stack: Stack) -> dict[str, Any]:
    """What `run.json` says of a running stack."""
    return {
        "url": stack.url,
        "admin_api_key": stack.keys["admin"],
        "pid": os.getpid(),
        "kafka_bootstrap": kafka_options(stack.hub.settings).bootstrap,
        "postgres_dsn": postgres_dsn(stack.hub.settings),
        "roles": list(ROLES),
    }
