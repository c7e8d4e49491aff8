"""From the 202 to the changed balance and to analytics, at 500 events a second; and with one organization at 90 %."""

import asyncio
from typing import Any, Final

from benchmarks.measure import Size, percentile
from benchmarks.processes import Child, child
from benchmarks.report import Row
from benchmarks.stack import Watch, until_seen, watch_ledger
from benchmarks.world import World

RATE: Final = 500
SECONDS: Final = 20
WARM_S: Final = 3
CONCURRENCY: Final = 32
HOT_IN_TEN: Final = 9
Visible = dict[str, dict[str, list[float]]]


async def measure(world: World, size: Size) -> list[Row]:
    """The rows."""
    seconds = max(8, int(SECONDS * size.scale))
    async with child("benchmarks.stack", str(world.home / "latency")) as stack, child("benchmarks.load") as load:
        where = await stack.ask("where")
        ledger = Watch()
        watching = asyncio.create_task(watch_ledger(where["dsn"], ledger))
        await stack.ask("watch")

        async def paced(keys: list[str], prefix: str, before: int) -> Visible:
            sent = await _send(load, where["port"], keys, prefix, seconds)
            await until_seen(ledger, before + RATE * seconds)
            seen = {"ledger": ledger.seen, "analytics": await stack.ask("seen", expected=before + RATE * seconds)}
            return _delays(sent, seen, prefix, len(keys))

        hot, other = where["keys"]["org_acme"], where["keys"]["org_globex"]
        even = await paced([hot, other], "even", 0)
        skewed = await paced([*[hot] * HOT_IN_TEN, other], "skewed", RATE * seconds)
        watching.cancel()
    note = f"{RATE} single events a second for {seconds} s, all roles in one process"
    return [
        _row("latency.balance", even["all"]["ledger"], 500, note),
        _row("latency.analytics", even["all"]["analytics"], 2_000, note),
        Row("latency.202", percentile(even["all"]["202"], 0.99) * 1000, "ms p99", note="the answer itself"),
        _row("latency.balance.others", skewed["others"]["ledger"], 500, "one organization sends 90 %: the others' p99"),
        _row("latency.analytics.others", skewed["others"]["analytics"], 2_000, "the same, in analytics"),
    ]


def _row(name: str, seconds: list[float], goal_ms: float, note: str) -> Row:
    note = f"{note}; p50 {percentile(seconds, 0.5) * 1000:.0f} ms"
    return Row(name, percentile(seconds, 0.99) * 1000, "ms p99", None, goal_ms, "<=", "value", note)


async def _send(load: Child, port: int, keys: list[str], prefix: str, seconds: int) -> dict[str, list[float]]:
    await load.ask("build", requests=RATE * seconds, batch=0, prefix=prefix, path="/v1/events", keys=keys)
    sent: dict[str, Any] = await load.ask("send", port=port, concurrency=CONCURRENCY, rate=RATE, times=True)
    assert not sent["refused"], sent["refused"]
    return sent


def _delays(sent: dict[str, list[float]], seen: dict[str, dict[str, float]], prefix: str, keys: int) -> Visible:
    """Seconds from the 202 until each effect was seen, of all and of those sent with the last key; no warm-up."""
    found: Visible = {who: {"ledger": [], "analytics": [], "202": []} for who in ("all", "others")}
    for number in range(RATE * WARM_S, len(sent["took"])):
        for who in ("all", "others"):
            if who == "all" or number % keys == keys - 1:
                found[who]["202"].append(sent["took"][number])
                for store in ("ledger", "analytics"):
                    at = seen[store].get(f"{prefix}-{number}", float("inf"))
                    found[who][store].append(max(0.0, at - sent["ended"][number]))
    return found
