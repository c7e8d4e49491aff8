"""From the 202 to the changed balance and to analytics, at 500 events a second; and with one organization at 90 %."""

from typing import Final

from benchmarks.measure import Size, percentile
from benchmarks.processes import Child, child
from benchmarks.report import Row
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
        await stack.ask("watch")
        hot, other = where["keys"]["org_acme"], where["keys"]["org_globex"]
        even = await _paced(stack, load, where["port"], [hot, other], "even", seconds, 0)
        skewed = await _paced(
            stack, load, where["port"], [*[hot] * HOT_IN_TEN, other], "skewed", seconds, RATE * seconds
        )
    note = f"{RATE} single events a second for {seconds} s, all roles and the observers in one process"
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


async def _paced(
    stack: Child, load: Child, port: int, keys: list[str], prefix: str, seconds: int, before: int
) -> Visible:
    """Seconds from the 202 until each effect was seen, of all and of those sent with the last key; warm-up left out."""
    count, warm = RATE * seconds, RATE * WARM_S
    await load.ask("build", requests=count, batch=0, prefix=prefix, path="/v1/events", keys=keys)
    sent = await load.ask("send", port=port, concurrency=CONCURRENCY, rate=RATE, times=True)
    assert not sent["refused"], sent["refused"]
    seen = await stack.ask("seen", expected=before + count)
    found: Visible = {who: {"ledger": [], "analytics": [], "202": []} for who in ("all", "others")}
    for number in range(warm, count):
        for who in ("all", "others"):
            if who == "all" or number % len(keys) == len(keys) - 1:
                found[who]["202"].append(sent["took"][number])
                for store in ("ledger", "analytics"):
                    at = seen[store].get(f"{prefix}-{number}", float("inf"))
                    found[who][store].append(max(0.0, at - sent["ended"][number]))
    return found
