"""`aihub up`: the whole stack, until Ctrl-C or SIGTERM."""

import asyncio
from typing import Final

from infra.app import runfile
from infra.app.display import Display
from infra.app.stack import run_info, start_stack
from infra.app.supervise import stop_on_signals
from infra.settings import Settings
from infra.telemetry.logs import configure_logs
from infra.telemetry.tracing import configure_tracing

DRAIN_S: Final = 30.0
"""Roles drain in 15 s, the engines stop in 10; whatever is left then is cut off, which loses nothing."""


async def run_up(settings: Settings) -> int:
    """0 after a clean stop. Raises: EngineError, ConfigError, Unavailable."""
    display = Display()
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    stop = asyncio.Event()
    with (settings.home / "aihub.log").open("a") as logs, stop_on_signals(stop):
        configure_logs("embedded", level=settings.log_level, stream=logs)
        configure_tracing("embedded")
        ready = asyncio.Event()
        work = asyncio.ensure_future(_stay_up(settings, display, ready, stop))
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait((work, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ready.is_set():
            work.cancel()
        await asyncio.wait((work,), timeout=DRAIN_S)
        if not work.done():
            work.cancel()
            await asyncio.wait((work,))
        if not work.cancelled():
            work.result()
    return 0


async def _stay_up(settings: Settings, display: Display, ready: asyncio.Event, stop: asyncio.Event) -> None:
    async with start_stack(settings, display) as stack:
        info = run_info(stack)
        runfile.write(stack.engines.home, info)
        try:
            display.out.print(f"API        {info['url']}   (health {info['url']}/health/ready, metrics /metrics)")
            display.out.print(f"API key    {info['admin_api_key']}")
            display.out.print(f"Kafka      {info['kafka_bootstrap']}")
            display.out.print(f"details    {stack.engines.home / runfile.NAME}   logs {stack.engines.home / 'logs'}")
            display.step("Ctrl-C stops everything")
            ready.set()
            await stop.wait()
            display.step("stopping: requests and batches in hand are finished first")
        finally:
            runfile.remove(stack.engines.home)
