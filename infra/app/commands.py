"""What the shorter commands do; each returns its exit code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson

from contracts.errors import Invalid
from infra.app.display import Display
from infra.app.reach import Target, client_of, direct_hub, is_running
from infra.clock import SystemClock
from infra.ops import importer, trail_proof, usage_rows
from infra.ops.migrate import migrate_all
from infra.ops.reconcile import reconcile as reconcile_books
from infra.ops.seed import new_keys
from infra.ops.seed import seed as seed_hub
from infra.settings import Settings
from infra.telemetry.logs import configure_logs

PAGE = 100


def print_json(display: Display, value: Any) -> None:
    """One JSON document on standard output."""
    display.out.print(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode(), markup=False)


async def migrate(settings: Settings, json: bool) -> int:
    """Topics, tables and views."""
    configure_logs("migrate", level="WARNING")
    display = Display()
    async with direct_hub(settings) as hub:
        done = await migrate_all(hub.kafka, hub.database, hub.clickhouse)
    if json:
        print_json(display, done)
    else:
        for engine, what in done.items():
            display.out.print(f"{engine}: {what}")
    return 0


async def seed(settings: Settings) -> int:
    """Two organizations, their keys, credits and prices; the keys are printed and kept nowhere else."""
    configure_logs("seed", level="WARNING")
    keys = new_keys()
    async with direct_hub(settings) as hub:
        await seed_hub(hub.database, hub.publisher, hub.clock, pepper=hub.pepper, keys=keys)
    print_json(Display(), keys)
    return 0


async def import_file(
    settings: Settings,
    target: Target,
    file: Path,
    mapping: str | None,
    service: str,
    source: str | None,
    json: bool,
) -> int:
    """0 when every row was accepted (now or earlier), 1 when some were rejected."""
    plan = importer.ImportPlan.of(file, map_text=mapping, service=service, source=source, start=SystemClock().now())
    display = Display()
    async with client_of(settings, target) as client:
        with display.bar("imported", usage_rows.count_rows(file)) as bar:
            result = await importer.run_import(client, plan, bar.by)
    if json:
        print_json(display, {name: getattr(result, name) for name in result.__slots__})
    else:
        resumed = f", resumed after row {result.resumed_at}" if result.resumed_at else ""
        display.out.print(
            f"{result.rows} rows: {result.accepted} accepted, {result.duplicates} duplicates, "
            f"{result.rejected} rejected{resumed}"
        )
        for rejection in result.rejections or ():
            display.step(f"row {rejection['row']}: {rejection['problems']}")
    return 1 if result.rejected else 0


async def reconcile(settings: Settings, repair: bool, json: bool) -> int:
    """0 when the books balance, 1 when they differ (also when a repair was begun: run it again)."""
    configure_logs("reconcile", level="WARNING")
    display = Display()
    if is_running(settings):
        async with client_of(settings) as client:
            answer = await client.post("/v1/admin/reconcile", {"repair": repair})
        report = answer["data"]
    else:
        async with direct_hub(settings) as hub:
            report = (await reconcile_books(hub.reconcile_deps(), repair=repair)).report()
    if json:
        print_json(display, report)
        return 0 if report["clean"] else 1
    compared = ", ".join(f"{store} {count}" for store, count in report["compared"].items()) or "nothing yet"
    display.out.print(f"compared: {compared}; still on their way: {report['pending']}")
    for found in report["differences"]:
        display.out.print(f"{found['check']}: {found['subject']} {found['detail']} {found['organization']}".rstrip())
    for hour in report["hours"]:
        display.out.print(f"{hour['organization']} {hour['hour']}: events {hour['events']} tokens {hour['tokens']}")
    if repair and report["repaired"]:
        display.out.print(f"re-drove {report['repaired']} records; run `aihub reconcile` again in a few seconds")
    display.out.print("clean" if report["clean"] else f"{len(report['differences'])} differences")
    return 0 if report["clean"] else 1


async def verify_audit(settings: Settings, json: bool) -> int:
    """0 when every trail is what was written, 1 when one was changed."""
    configure_logs("audit", level="WARNING")
    display = Display()
    if is_running(settings):
        async with client_of(settings) as client:
            found = (await client.post("/v1/audit/verify-all", {}))["data"]
    else:
        async with direct_hub(settings) as hub:
            found = trail_proof.summary(await trail_proof.verify_all(hub.database, hub.clickhouse))
    if json:
        print_json(display, found)
    else:
        for one in found["broken"]:
            display.out.print(f"{one['organization_id']}: event {one['broken_at']} is not what was written")
        verdict = "intact" if found["intact"] else f"{len(found['broken'])} trails were changed"
        display.out.print(f"{found['events']} events of {found['organizations']} organizations: {verdict}")
    return 0 if found["intact"] else 1


async def list_mails(settings: Settings, recipient: str | None, limit: int, json: bool) -> int:
    """Newest first, through the running stack."""
    display = Display()
    query = {"limit": limit} | ({"recipient": recipient} if recipient else {})
    async with client_of(settings) as client:
        found = (await client.get("/v1/admin/mails?" + urlencode(query)))["data"]
    if json:
        print_json(display, found)
        return 0
    if not found:
        display.out.print("no mail")
    for one in found:
        state = "sent" if one["sent_at"] else one["error"] or "waits"
        display.out.print(
            f"{one['id']}  {one['recipient']}  {state}  {one['subject'] or one['occasion']}", markup=False
        )
    return 0


async def show_mail(settings: Settings, mail_id: str, json: bool) -> int:
    """One mail, through the running stack."""
    display = Display()
    async with client_of(settings) as client:
        one = (await client.get(f"/v1/admin/mails/{mail_id}"))["data"]
    if json:
        print_json(display, one)
        return 0
    for name, value in (("To", one["recipient"]), ("Subject", one["subject"]), ("Sent", one["sent_at"] or "not yet")):
        display.out.print(f"{name}: {value}", markup=False)
    display.out.print(f"\n{one['body']}", markup=False)
    return 0


async def list_dead_letters(
    settings: Settings, consumer: str | None, reason: str | None, state: str, limit: int, json: bool
) -> int:
    """Newest first, through the running stack."""
    display = Display()
    wanted = {"consumer": consumer, "reason": reason, "state": state, "limit": min(limit, PAGE)}
    async with client_of(settings) as client:
        found = await _pages(client, {key: value for key, value in wanted.items() if value is not None}, limit)
    if json:
        print_json(display, found)
        return 0
    if not found:
        display.out.print(f"no dead letters are {state}")
    for letter in found:
        origin = f"{letter['topic']}/{letter['partition']}/{letter['offset']}"
        display.out.print(f"{letter['id']}  {letter['consumer']}  {letter['reason']}  {origin}  {letter['message']}")
    return 0


async def _pages(client: Any, query: dict[str, Any], limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while len(found) < limit:
        page = await client.get("/v1/admin/dead-letters?" + urlencode(query | ({"cursor": cursor} if cursor else {})))
        found += page["data"]
        cursor = page["pagination"].get("next_cursor")
        if cursor is None:
            break
    return found[:limit]


async def resolve_dead_letters(
    settings: Settings, action: str, ids: Sequence[str], consumer: str | None, reason: str | None
) -> int:
    """Re-drives or drops these, or all parked ones that match."""
    display = Display()
    async with client_of(settings) as client:
        if not ids:
            query = {"consumer": consumer, "reason": reason, "state": "parked", "limit": PAGE}
            wanted = {key: value for key, value in query.items() if value is not None}
            ids = [letter["id"] for letter in await _pages(client, wanted, 1_000_000)]
        if not ids and (consumer or reason):
            raise Invalid("no parked dead letter matches")
        for letter in ids:
            await client.post(f"/v1/admin/dead-letters/{letter}/{action}", {})
    display.out.print(f"{len(ids)} dead letters: {action} done")
    return 0
