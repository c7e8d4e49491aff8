"""The embedded stack in a process of its own, with observers that see when each event's effect becomes visible."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any, Final

import asyncpg

from benchmarks.processes import answer_questions
from contracts.topics import USAGE
from infra.app.display import Display
from infra.app.loop import run
from infra.app.stack import Stack, start_stack
from infra.clickhouse.client import ClickHouse
from infra.postgres.database import raw
from infra.settings import load_settings
from infra.telemetry.logs import configure_logs

LEDGER_POLL_S: Final = 0.005
ANALYTICS_POLL_S: Final = 0.05
PATIENCE_S: Final = 30.0
PARTITIONS: Final = 6
BOOKED: Final = """
    SELECT i.partition_no, i.offset_no, i.event_id
    FROM unnest($2::int[], $3::bigint[]) AS w (partition_no, seen)
    JOIN inbox AS i ON i.topic = $1 AND i.partition_no = w.partition_no AND i.offset_no > w.seen
"""
ANALYSED: Final = """
    SELECT partition, offset, event_id FROM usage_facts
    WHERE offset > {lowest:Int64} AND inserted_at > now64(6) - INTERVAL 10 SECOND
"""


class Watch:
    """When each event id was first seen, on the clock that all processes of a machine share."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}
        self.reached = [-1] * PARTITIONS

    def note(self, rows: list[tuple[int, int, str]], at: float) -> None:
        """What a look found."""
        for partition, offset, event_id in rows:
            self.seen.setdefault(event_id, at)
            self.reached[partition] = max(self.reached[partition], offset)


async def watch_ledger(dsn: str, watch: Watch) -> None:
    """Looks at the ledger every few milliseconds: a row there means that the balance has changed."""
    connection = await asyncpg.connect(dsn)
    while True:
        rows = await connection.fetch(BOOKED, USAGE.name, list(range(PARTITIONS)), watch.reached)
        watch.note([tuple(row) for row in rows], time.monotonic())
        await asyncio.sleep(LEDGER_POLL_S)


async def watch_analytics(clickhouse: ClickHouse, watch: Watch) -> None:
    """Looks at ClickHouse twenty times a second."""
    while True:
        rows = await clickhouse.query(ANALYSED, {"lowest": min(watch.reached)})
        watch.note([(row["partition"], row["offset"], row["event_id"]) for row in rows], time.monotonic())
        await asyncio.sleep(ANALYTICS_POLL_S)


async def until_seen(watch: Watch, expected: int) -> None:
    """Returns when so many events were seen, or after half a minute."""
    end = time.monotonic() + PATIENCE_S
    while len(watch.seen) < expected and time.monotonic() < end:  # noqa: ASYNC110 - polled anyway
        await asyncio.sleep(0.1)


class Questions:
    """What the benchmark asks."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._analytics = Watch()
        self._watching: list[asyncio.Task[None]] = []

    async def where(self, _: dict[str, Any]) -> dict[str, Any]:
        """Port, keys and database."""
        dsn = self._stack.engines.postgres_dsn
        return {"port": int(self._stack.url.rpartition(":")[2]), "keys": self._stack.keys, "dsn": dsn}

    async def watch(self, _: dict[str, Any]) -> bool:
        """Begins to look."""
        self._watching = [
            asyncio.create_task(watch_analytics(self._stack.hub.clickhouse, self._analytics)),
        ]
        return True

    async def seen(self, job: dict[str, Any]) -> dict[str, float]:
        """When each event was seen in analytics, once `expected` were (or time is over)."""
        await until_seen(self._analytics, job["expected"])
        return self._analytics.seen

    async def arrived(self, _: dict[str, Any]) -> list[int]:
        """How many events are in the ledger and in analytics."""
        async with self._stack.hub.database.transaction() as tx:
            booked = await (await raw(tx)).fetchval("SELECT count(*) FROM inbox")
        rows = await self._stack.hub.clickhouse.query("SELECT count() AS n FROM usage_facts")
        return [booked, rows[0]["n"]]


async def main(home: Path) -> None:
    """Runs the stack and answers until standard input ends."""
    with (home / "stack.log").open("a") as log:
        configure_logs("benchmarks", level="WARNING", stream=log)
        async with start_stack(load_settings(home=home), Display(quiet=True)) as stack:
            questions = Questions(stack)
            names = ("where", "watch", "seen", "arrived")
            await answer_questions({name: getattr(questions, name) for name in names})
            for task in questions._watching:
                task.cancel()


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    run(main(place))
