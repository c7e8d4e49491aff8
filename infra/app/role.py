"""`aihub run ROLE`: one role, one process, engines given by URL."""

import asyncio

import structlog

from contracts.errors import ConfigError, Unavailable
from infra.app.compose import Hub, open_clickhouse, open_hub
from infra.app.roles import ROLES, run_api
from infra.app.server import bind
from infra.app.supervise import RoleRun, stop_on_signals, wait
from infra.http.probes import serve_probes
from infra.settings import Settings
from infra.telemetry import metrics
from infra.telemetry.logs import configure_logs
from infra.telemetry.progress import PROGRESS
from infra.telemetry.tracing import configure_tracing

log = structlog.get_logger()

API_PORT = 8080
RETRY_S = 1.0


async def run_role(settings: Settings, role: str) -> int:
    """0 after a drained stop. A bug raises: the process ends and what it had not committed comes again.

    Raises: ConfigError for an unknown role or a missing setting.
    """
    if role not in ROLES:
        raise ConfigError(f"unknown role {role!r}: choose one of {', '.join(ROLES)}")
    configure_logs(role, level=settings.log_level)
    configure_tracing(role)
    stop = asyncio.Event()
    with stop_on_signals(stop):
        async with open_hub(settings, open_clickhouse(settings)) as hub:
            log.info("role starts", role=role)
            async with asyncio.TaskGroup() as tasks:
                probes = None
                if settings.probe_port is not None and role != "api":
                    probes = tasks.create_task(serve_probes(settings.probe_port, ready, metrics.exposition, stop))
                await _until_stopped(role, _work(hub, role), stop)
                stop.set()
                if probes is not None:
                    await probes
    log.info("role stopped", role=role)
    return 0


def _work(hub: Hub, role: str) -> RoleRun:
    if role != "api":
        return lambda stop: ROLES[role](hub, stop)
    listener = bind(hub.settings.host, hub.settings.port, API_PORT)
    return lambda stop: run_api(hub, listener, stop)


async def _until_stopped(role: str, run: RoleRun, stop: asyncio.Event) -> None:
    """A dependency that is away at the start is waited for."""
    while not stop.is_set():
        try:
            await run(stop)
        except Unavailable as error:
            log.warning("role waits", role=role, reason=error.message)
            await wait(stop, RETRY_S)


def ready() -> dict[str, dict[str, object]]:
    """What the role's readiness probe answers: every consumer of this process with its progress."""
    return {name: progress.report() for name, progress in PROGRESS.items()}
