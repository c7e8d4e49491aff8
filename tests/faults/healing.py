"""How long a fault is felt: until an event that was accepted after it has arrived where the fault hit."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from contracts.errors import Unavailable
from infra.app.reach import direct_hub
from infra.clickhouse import facts
from tests.faults.client import Identity, Place, Record
from tests.faults.receiver import Receiver
from tests.faults.world import POSTGRES_AWAY, Installation

POLL_S: Final = 0.15
EVERYWHERE: Final = frozenset({"ledger", "analytics", "webhook"})
AFTERWARDS: Final = "afterwards"
"""What a disturbance leaves behind, from its end on."""
FELT: Final[dict[str, frozenset[str]]] = {
    "api": frozenset(),
    "credits": frozenset({"ledger"}),
    "analytics": frozenset({"analytics"}),
    "relay": frozenset({"webhook"}),
    "webhooks": frozenset({"webhook"}),
    "deliveries": frozenset({"webhook"}),
    "kafka": EVERYWHERE,
    "postgres": frozenset({"ledger", "webhook"}),
    "clickhouse": frozenset({"analytics"}),
    AFTERWARDS: EVERYWHERE,
}
"""Where a fault of a role or engine is felt; the API's until the next 202. Others are not felt by events."""


@dataclass(eq=False)
class Wound:
    """A fault that is not healed yet; `probe` is the first event that was accepted after it."""

    target: str
    began: float
    healed: asyncio.Event
    probe: tuple[Identity, Place] | None = None
    seconds: float | None = None


class Healing:
    """Measures; `wounds` are all faults so far."""

    def __init__(self, hub: Installation, record: Record, receiver: Receiver) -> None:
        self._hub = hub
        self._receiver = receiver
        self.wounds: list[Wound] = []
        record.on_accepted.append(self._accepted)

    def wound(self, target: str) -> Wound:
        """Begins to measure a fault of this role or engine, now."""
        wound = Wound(target, time.monotonic(), asyncio.Event())
        self.wounds.append(wound)
        if target not in FELT:
            wound.healed.set()
        return wound

    def seconds(self, target: str | None = None) -> list[float]:
        """How long healed faults were felt, in order."""
        return sorted(
            wound.seconds
            for wound in self.wounds
            if wound.seconds is not None and (target is None or wound.target == target)
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Healing"]:
        """Looks how far everything is, until the block ends."""
        task = asyncio.create_task(self._look())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled() and task.exception():
                raise task.exception() or AssertionError

    def _accepted(self, identity: Identity, place: Place) -> None:
        for wound in self.wounds:
            if wound.probe is None and not wound.healed.is_set() and place.at > wound.began:
                wound.probe = (identity, place)
                self._judge(wound, {}, {})

    def _judge(self, wound: Wound, ledger: dict[Any, int], analytics: dict[Any, int]) -> None:
        if wound.probe is None or wound.healed.is_set():
            return
        identity, place = wound.probe
        where = (place.topic, place.partition)
        there = {
            "ledger": ledger.get(where, 0) > place.offset,
            "analytics": analytics.get(where, 0) > place.offset,
            "webhook": identity in self._receiver.first_at,
        }
        if all(there[name] for name in FELT[wound.target]):
            wound.seconds = time.monotonic() - wound.began
            wound.healed.set()

    async def _look(self) -> None:
        async with direct_hub(self._hub.settings) as direct:
            while True:
                await asyncio.sleep(POLL_S)
                ledger: dict[Any, int] = {}
                analytics: dict[Any, int] = {}
                with contextlib.suppress(*POSTGRES_AWAY):
                    async with asyncio.timeout(2):
                        ledger = await self._ledger()
                with contextlib.suppress(Unavailable, TimeoutError):
                    async with asyncio.timeout(2):
                        done = await facts.progress(direct.clickhouse)
                        analytics = {place: reached.next_offset for place, reached in done.items()}
                for wound in self.wounds:
                    self._judge(wound, ledger, analytics)

    async def _ledger(self) -> dict[Any, int]:
        connection = await asyncpg.connect(self._hub.dsn)
        try:
            rows = await connection.fetch("SELECT topic, partition_no, next_offset FROM ledger_progress")
        finally:
            await connection.close()
        return {(row[0], row[1]): row[2] for row in rows}
