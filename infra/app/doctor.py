"""`aihub doctor`: is this machine fit, and is what runs on it healthy? Says what to do about each finding."""

import os
import platform
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

from contracts.errors import AihubError, ConfigError
from contracts.topics import USAGE
from infra.app import runfile
from infra.app.commands import print_json
from infra.app.display import Display
from infra.app.reach import client_of, direct_hub, is_running
from infra.http.hub_client import HubClient
from infra.settings import Settings

MIN_FREE_BYTES = 1_000_000_000
API_PORT = 8080


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: `advice` tells what to do when it is not fine."""

    name: str
    fine: bool
    detail: str
    advice: str = ""


async def examine(settings: Settings, json: bool) -> int:
    """0 when every check is fine, else 1."""
    display = Display()
    findings = [_python(), _disk(settings), _memory()]
    findings += await (_running(settings) if is_running(settings) else _engines(settings))
    if json:
        print_json(display, [asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = "ok  " if finding.fine else "FAIL"
            display.out.print(f"{mark} {finding.name}: {finding.detail}", markup=False)
            if not finding.fine and finding.advice:
                display.out.print(f"     -> {finding.advice}", markup=False)
    return 0 if all(finding.fine for finding in findings) else 1


async def examine_role(settings: Settings) -> int:
    """0 when the role of this container is ready (its own probe answers so)."""
    port = settings.port or API_PORT
    for candidate in (settings.probe_port, port):
        if candidate is None:
            continue
        try:
            async with HubClient(f"http://127.0.0.1:{candidate}", "") as client:
                await client.once("GET", "/health/ready")
        except AihubError:
            continue
        return 0
    return 1


def _python() -> Finding:
    fine = sys.version_info >= (3, 11)
    return Finding("python", fine, platform.python_version(), "install Python 3.11 or newer")


def _disk(settings: Settings) -> Finding:
    place = settings.home if settings.home.exists() else settings.home.resolve().parent
    free = shutil.disk_usage(place).free
    return Finding(
        "disk", free >= MIN_FREE_BYTES, f"{free / 1e9:.1f} GB free at {place}", "free at least 1 GB, or use --home"
    )


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Finding("memory", total >= 2e9, f"{total / 1e9:.1f} GB", "the embedded stack needs about 1.5 GB")


async def _running(settings: Settings) -> list[Finding]:
    info = runfile.read(settings.home)
    async with client_of(settings) as client:
        try:
            ready = await client.once("GET", "/health/ready")
        except AihubError as error:
            return [Finding("stack", False, error.message, f"look into {settings.home / 'aihub.log'}")]
    look = f"look into {settings.home / 'aihub.log'}"
    findings = [Finding("stack", True, f"runs at {info['url']} (pid {info['pid']})")]
    findings += [Finding(name, word == "up", word, look) for name, word in ready["dependencies"].items()]
    return findings + [
        Finding(name, bool(report["healthy"]), f"lag {report['lag']}, idle {report['idle_s']} s", look)
        for name, report in ready["consumers"].items()
    ]


async def _engines(settings: Settings) -> list[Finding]:
    try:
        async with direct_hub(settings) as hub:
            checks: dict[str, Callable[[], Awaitable[object]]] = {
                "kafka": lambda: hub.log_reader.end_offsets(USAGE),
                "postgres": hub.database.ping,
                "clickhouse": hub.clickhouse.ping,
            }
            return [await _ask(name, check) for name, check in checks.items()]
    except ConfigError as error:
        return [Finding("stack", True, f"does not run: {error.message}")]
    except AihubError as error:
        return [Finding("engines", False, error.message, "see the log file that the message names")]


async def _ask(name: str, check: Callable[[], Awaitable[object]]) -> Finding:
    try:
        await check()
    except AihubError as error:
        return Finding(name, False, error.message, "start it, or correct its address in AIHUB_*")
    return Finding(name, True, "answers")
