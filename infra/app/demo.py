"""`aihub demo`: real usage through the real ingress until it has arrived everywhere; then the books are compared."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from contracts.errors import AihubError
from contracts.types import MICROS_PER_CREDIT
from infra.app import runfile
from infra.app.arrivals import Arrivals, arrivals_of
from infra.app.display import Display
from infra.app.load import Load, send_all
from infra.app.stack import Stack, run_info, start_stack
from infra.app.supervise import stop_on_signals
from infra.app.workload import Use, synthetic, trace
from infra.http.hub_client import HubClient
from infra.http.receiver import Receiver
from infra.ids import new_id
from infra.ops import usage_rows
from infra.ops.differences import Reconciliation
from infra.ops.reconcile import reconcile
from infra.ops.seed import ORGANIZATIONS
from infra.settings import Settings
from infra.telemetry.logs import configure_logs

STALL_S: Final = 60.0
POLL_S: Final = 0.3
WEBHOOK_EVENTS: Final = ["credits.charged"]
DESCRIPTION: Final = "aihub demo receiver"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What to send: a trace, or `events` synthetic uses of a seed; `result` is a file for the table as JSON."""

    trace: Path | None
    mapping: str | None
    speed: float | None
    events: int
    seed: int
    result: Path | None


async def run_demo(settings: Settings, options: DemoOptions) -> int:
    """0 when everything that was accepted is charged, analysed and delivered and the books balance; else 1."""
    display = Display()
    total = usage_rows.count_rows(options.trace) if options.trace else options.events
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "aihub.log").open("a") as logs:
        configure_logs("demo", level=settings.log_level, stream=logs)
        stop = asyncio.Event()
        with stop_on_signals(stop):
            work = asyncio.ensure_future(_demo(settings, options, total, display))
            stopping = asyncio.ensure_future(stop.wait())
            await asyncio.wait((work, stopping), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if not work.done():
                work.cancel()
                await asyncio.wait((work,))
                return 130
            return work.result()


async def _demo(settings: Settings, options: DemoOptions, total: int, display: Display) -> int:
    async with AsyncExitStack() as cleanup:
        stack = await cleanup.enter_async_context(start_stack(settings, display))
        runfile.write(stack.engines.home, run_info(stack))
        cleanup.callback(runfile.remove, stack.engines.home)
        receiver = await cleanup.enter_async_context(Receiver().running())
        clients = [
            await cleanup.enter_async_context(HubClient(stack.url, stack.keys[organization]))
            for organization, _name in ORGANIZATIONS
        ]
        await cleanup.enter_async_context(_subscribed(clients, receiver))
        source = f"/demo/{new_id('run')}"
        started = time.monotonic()
        with display.bar("sent", total) as bar:
            load = await send_all(clients, _uses(options, source, stack), bar.by)
        arrived = await _arrived(stack, load, receiver, source, display)
        display.step("comparing the books")
        books = await reconcile(stack.hub.reconcile_deps())
        table = _table(stack, load, arrived, books, source)
        table["seconds"] = round(time.monotonic() - started, 1)
    return _report(table, load, arrived, books, display, options)


def _uses(options: DemoOptions, source: str, stack: Stack) -> Iterator[Use]:
    now = stack.hub.clock.now()
    if options.trace is None:
        return synthetic(options.events, len(ORGANIZATIONS), options.seed, source, now)
    return trace(options.trace, options.mapping, len(ORGANIZATIONS), source, now, options.speed)


@asynccontextmanager
async def _subscribed(clients: list[HubClient], receiver: Receiver) -> AsyncIterator[None]:
    """An endpoint per organization for the receiver, removed at the end; leftovers of a killed run go first."""
    made = []
    for number, client in enumerate(clients):
        for old in (await client.get("/v1/webhooks/endpoints"))["data"]:
            if old["description"] == DESCRIPTION:
                await client.delete(f"/v1/webhooks/endpoints/{old['id']}")
        name = f"organization-{number}"
        answer = await client.post(
            "/v1/webhooks/endpoints",
            {"url": f"{receiver.url}/{name}", "event_types": WEBHOOK_EVENTS, "description": DESCRIPTION},
        )
        receiver.secrets[name] = answer["data"]["secret"]
        made.append((client, answer["data"]["id"]))
    try:
        yield
    finally:
        for client, endpoint in made:
            await client.delete(f"/v1/webhooks/endpoints/{endpoint}")


async def _arrived(stack: Stack, load: Load, receiver: Receiver, source: str, display: Display) -> Arrivals:
    """What has arrived once everything has; or what there is when nothing has moved for a minute."""
    names = ("charged", "analysed", "delivered")
    with (
        display.bar(names[0], load.accepted) as charged,
        display.bar(names[1], load.accepted) as analysed,
        display.bar(names[2], load.accepted) as delivered,
    ):
        last, moved = (-1, -1, -1, -1), time.monotonic()
        while True:
            now = await arrivals_of(stack.hub, source, receiver)
            counts = (now.charged, now.analysed, now.delivered, now.analysed_micros)
            for bar, count in zip((charged, analysed, delivered), counts, strict=False):
                bar.to(count)
            if counts != last:
                last, moved = counts, time.monotonic()
            complete = min(counts[:3]) >= load.accepted and now.analysed_micros == now.charged_micros
            if complete or time.monotonic() - moved > STALL_S:
                return await arrivals_of(stack.hub, source, receiver, final=True)
            await asyncio.sleep(POLL_S)


def _table(stack: Stack, load: Load, arrived: Arrivals, books: Reconciliation, source: str) -> dict[str, Any]:
    return {
        "source": source,
        "events_sent": load.sent,
        "events_accepted": load.accepted,
        "events_charged": arrived.charged,
        "events_analysed": arrived.analysed,
        "deliveries_expected": load.accepted,
        "deliveries_succeeded": arrived.delivered,
        "credits_charged_micros": arrived.charged_micros,
        "input_tokens": arrived.input_tokens,
        "output_tokens": arrived.output_tokens,
        "top_models": arrived.top_models,
        "reconcile_clean": books.clean,
        "latency_ms": arrived.latency_ms,
        "engines": stack.engines.versions,
    }


def disagreements(table: dict[str, Any], load: Load, arrived: Arrivals) -> list[str]:
    """Everything in which the numbers do not agree; empty when the demo is proven."""
    pairs = {
        "sent and accepted": (load.sent, load.accepted),
        "accepted and charged": (load.accepted, arrived.charged),
        "accepted and analysed": (load.accepted, arrived.analysed),
        "accepted and delivered": (load.accepted, arrived.delivered),
        "input tokens sent and in the ledger": (load.input_tokens, arrived.input_tokens),
        "output tokens sent and in the ledger": (load.output_tokens, arrived.output_tokens),
        "input tokens sent and in analytics": (load.input_tokens, arrived.analysed_input_tokens),
        "output tokens sent and in analytics": (load.output_tokens, arrived.analysed_output_tokens),
        "credits in the ledger and in analytics": (arrived.charged_micros, arrived.analysed_micros),
    }
    found = [f"{name} differ: {one} and {other}" for name, (one, other) in pairs.items() if one != other]
    return found + ([] if table["reconcile_clean"] else ["reconcile is not clean"])


def _report(
    table: dict[str, Any],
    load: Load,
    arrived: Arrivals,
    books: Reconciliation,
    display: Display,
    options: DemoOptions,
) -> int:
    latency = table["latency_ms"]
    display.table(
        "Smart AI Hub",
        [
            ("events accepted", f"{table['events_accepted']:,} of {table['events_sent']:,}"),
            ("events charged", f"{table['events_charged']:,}"),
            ("events analysed", f"{table['events_analysed']:,}"),
            ("webhooks delivered", f"{table['deliveries_succeeded']:,} of {table['deliveries_expected']:,}"),
            ("credits spent", f"{table['credits_charged_micros'] / MICROS_PER_CREDIT:,.2f}"),
            ("tokens in / out", f"{table['input_tokens']:,} / {table['output_tokens']:,}"),
            ("top models", ", ".join(f"{model} {credits:,.0f}" for model, credits in table["top_models"])),
            *((f"202 -> {name} p50 / p99", _milliseconds(latency[name])) for name in latency),
            ("engines", ", ".join(f"{name} {version}" for name, version in table["engines"].items())),
            ("reconcile", "clean" if books.clean else "DIFFERS"),
            ("seconds", f"{table['seconds']}"),
        ],
    )
    problems = disagreements(table, load, arrived)
    for problem in (*problems, *books.lines(), *(str(rejection) for rejection in load.rejections[:5])):
        display.step(problem)
    if options.result is not None:
        try:
            options.result.write_bytes(orjson.dumps(table, option=orjson.OPT_INDENT_2) + b"\n")
        except OSError as error:
            raise AihubError(f"cannot write {options.result}: {error.strerror}") from None
    return 1 if problems else 0


def _milliseconds(latency: dict[str, float]) -> str:
    return f"{latency['p50']:,.0f} / {latency['p99']:,.0f} ms"
