"""How a command reaches the hub: by URL, through the running stack, or by starting the engines itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from contracts.errors import ConfigError
from infra.app import runfile
from infra.app.compose import Hub, open_clickhouse, open_hub
from infra.app.display import Display
from infra.app.stack import embedded_engines, embedded_settings
from infra.clickhouse.client import ClickHouse
from infra.http.hub_client import HubClient
from infra.settings import Settings


@dataclass(frozen=True, slots=True)
class Target:
    """A hub's address and key; None means: the stack that runs on the data directory."""

    url: str | None
    api_key: str | None


@asynccontextmanager
async def client_of(settings: Settings, target: Target | None = None) -> AsyncIterator[HubClient]:
    """A client of the hub that the target names. Raises: ConfigError when nothing runs, or a key is missing."""
    url, key = (target.url, target.api_key) if target else (None, None)
    if url is None:
        info = runfile.read(settings.home)
        url, key = info["url"], key or info["admin_api_key"]
    if key is None:
        raise ConfigError("--url needs an API key: set AIHUB_API_KEY or give --api-key")
    async with HubClient(url, key) as client:
        yield client


def is_running(settings: Settings) -> bool:
    """Whether a stack runs on the data directory: then its engines are its own, and commands go through its API."""
    try:
        runfile.read(settings.home)
    except ConfigError:
        return False
    return not settings.distributed


@asynccontextmanager
async def direct_hub(settings: Settings) -> AsyncIterator[Hub]:
    """Connections without any role: to the engines that the settings name, or to embedded ones started for this.

    Raises: EngineError, ConfigError.
    """
    if settings.distributed:
        async with open_hub(settings, open_clickhouse(settings)) as hub:
            yield hub
        return
    if not settings.home.is_dir():
        raise ConfigError(f"{settings.home} is no data directory: start with `aihub up` or `aihub demo`")
    async with embedded_engines(settings, Display(quiet=True)) as engines:
        settings = embedded_settings(settings, engines)
        clickhouse = ClickHouse.open_chdb(engines.clickhouse_path, settings.clickhouse_database)
        async with open_hub(settings, clickhouse) as hub:
            yield hub
