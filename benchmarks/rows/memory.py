"""Memory of the embedded stack's process tree after many events against after a tenth of them."""

import asyncio
from typing import Any, Final

from benchmarks.measure import Size
from benchmarks.processes import Child, child, memory_mb
from benchmarks.report import Row
from benchmarks.world import World

EVENTS: Final = 40_000
MANY: Final = 1_000_000
BATCH: Final = 100
PORTION: Final = 20_000
SETTLE_S: Final = 5.0


async def measure(world: World, size: Size) -> list[Row]:
    """The row; a million events with `--full`. As many as there is else time for still warm it up: no goal."""
    many = MANY if size.full else size.events(EVENTS, 10 * BATCH)
    async with child("benchmarks.stack", str(world.home / "memory")) as stack, child("benchmarks.load") as load:
        where = await stack.ask("where")
        before = memory_mb(stack.pid)
        await _fill(stack, load, where, 0, many // 10)
        few_mb = memory_mb(stack.pid)
        await _fill(stack, load, where, many // 10, many)
        many_mb = memory_mb(stack.pid)
    note = f"process tree (PSS) after {many:,} events; limit: after {many // 10:,}; at the start {before:.0f} MB"
    if size.full:
        return [Row("memory", many_mb, "MB", few_mb, 1.2, "<=", note=note)]
    return [Row("memory.few", many_mb, "MB", few_mb, note=note)]


async def _fill(stack: Child, load: Child, where: dict[str, Any], start: int, end: int) -> None:
    """Sends events until `end` were sent, and waits until all have arrived everywhere."""
    keys = [where["keys"]["org_acme"], where["keys"]["org_globex"]]
    for at in range(start, end, PORTION):
        count = min(PORTION, end - at)
        await load.ask("build", requests=count // BATCH, batch=BATCH, prefix=f"m{at}", path="/v1/events", keys=keys)
        sent = await load.ask("send", port=where["port"], concurrency=4)
        assert not sent["refused"], sent["refused"]
    while min(await stack.ask("arrived")) < end:  # noqa: ASYNC110 - another process's doing
        await asyncio.sleep(0.5)
    await asyncio.sleep(SETTLE_S)
