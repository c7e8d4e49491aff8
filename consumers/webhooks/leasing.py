"""Leases rows for the endpoints that have some, as many as may be in hand for each, and knows where to send them."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final
from uuid import UUID

from consumers.webhooks.backlog import Backlog
from consumers.webhooks.delivery import host_of, opened
from consumers.webhooks.incarnation import Incarnation
from consumers.webhooks.options import DispatcherOptions
from consumers.webhooks.outages import unless_down
from consumers.webhooks.recorder import Recorder
from consumers.webhooks.slots import Slots, Trust
from infra.clock import Clock
from infra.postgres import webhooks_queue as queue
from infra.postgres.database import Database, Tx
from infra.postgres.webhooks_queue import Leased, Target

TARGET_AGE_S: Final = 1.0
ENDPOINTS_PER_LEASE: Final = 64
ROWS_IN_HAND: Final = 2048
ROOM: Final = {Trust.PROVEN: 256, Trust.NEW: 16, Trust.SUSPECT: 1}
"""Rows in hand for one endpoint; more are leased when half of them are gone."""


class Leasing:
    """Fills the backlog, and calls `filled`. `in_flight` tells what is being sent: a lost lease leaves that alone."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        options: DispatcherOptions,
        *,
        life: Incarnation,
        slots: Slots,
        backlog: Backlog,
        recorder: Recorder,
        in_flight: Callable[[], Iterable[UUID]],
        filled: Callable[[], None],
    ) -> None:
        self.targets: dict[str, Target] = {}
        self._database = database
        self._clock = clock
        self._options = options
        self._life = life
        self._slots = slots
        self._backlog = backlog
        self._recorder = recorder
        self._in_flight = in_flight
        self._filled = filled
        self._read_at: dict[str, float] = {}
        self._more: set[str] = set()
        self._hungry: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._returned: list[Leased] = []
        self._lease_lost = False
        self._ended = False

    async def run(self) -> None:
        """Leases until cancelled, or until it is told to `end`."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._hungry and self._backlog.size < ROWS_IN_HAND and not self._ended:
                if not await unless_down(self._lease):
                    self._lease_lost = True
                    await asyncio.sleep(self._options.poll_s)

    def end(self) -> None:
        """Leases nothing more."""
        self._ended = True

    def due(self, endpoints: Sequence[str]) -> None:
        """These endpoints have rows that are due."""
        self._more.update(endpoint for endpoint in endpoints if endpoint)
        for endpoint in endpoints:
            self.feed(endpoint)

    def feed(self, endpoint: str) -> None:
        """Has more rows leased for an endpoint that has some and whose queue runs low."""
        if endpoint in self._more and self._room(endpoint):
            self._hungry[endpoint] = None
            self._wake.set()

    def give_back(self, rows: Sequence[Leased]) -> None:
        """Rows that were not sent; they are free after the next `release`."""
        self._returned += rows
        self._more.update(row.endpoint_id for row in rows[:1])

    async def release(self, tx: Tx) -> Callable[[], None]:
        """Frees what was given back; what to call when that is committed."""
        returned = tuple(self._returned)
        await queue.release(tx, returned)

        def committed() -> None:
            del self._returned[: len(returned)]

        return committed

    def _room(self, endpoint: str) -> int:
        """How many more rows may be in hand for the endpoint."""
        waiting = self._backlog.of(endpoint)
        breaker = self._recorder.breaker(endpoint)
        if breaker is not None and breaker.open_until is not None:
            busy = waiting + self._slots.of(endpoint)
            return int(breaker.admits(self._clock.now().timestamp(), busy))
        room = ROOM[self._slots.trust(endpoint, asyncio.get_running_loop().time())]
        return room - waiting if waiting * 2 <= room and waiting < room else 0

    async def _lease(self) -> None:
        rooms = self._choose()
        owner = self._life.id
        async with self._database.transaction() as tx:
            if self._lease_lost:
                await queue.release_unknown(tx, owner, self._known())
            rows = await queue.lease(tx, owner, rooms, self._clock.now()) if rooms else []
            await self._refresh(tx, {row.endpoint_id for row in rows})
        self._lease_lost = False
        if owner == self._life.id:
            self._accept(rows, dict(rooms))

    async def _refresh(self, tx: Tx, endpoints: set[str]) -> None:
        """Reads where to send, at most a second old: a new URL or secret is used from then on."""
        at = asyncio.get_running_loop().time()
        stale = sorted(endpoint for endpoint in endpoints if self._read_at.get(endpoint, 0.0) < at - TARGET_AGE_S)
        if stale:
            found = await queue.targets(tx, stale, self._clock.now())
            self.targets |= {name: opened(target, self._options.sealer) for name, target in found.items()}
            self._read_at |= dict.fromkeys(stale, at)
            for endpoint in stale:
                self._recorder.watch(self.targets[endpoint])

    def _choose(self) -> list[tuple[str, int]]:
        """Endpoints to lease for, in turn; each is out of `_more` until it gave as many rows as it was asked for."""
        rooms: list[tuple[str, int]] = []
        while self._hungry and len(rooms) < ENDPOINTS_PER_LEASE:
            endpoint = next(iter(self._hungry))
            del self._hungry[endpoint]
            if room := self._room(endpoint):
                self._more.discard(endpoint)
                rooms.append((endpoint, room))
        return rooms

    def _known(self) -> list[UUID]:
        return [*(row.id for row in self._backlog.rows()), *self._in_flight(), *self._recorder.unwritten()]

    def _accept(self, rows: Sequence[Leased], rooms: dict[str, int]) -> None:
        by_endpoint: dict[str, list[Leased]] = {}
        for row in rows:
            by_endpoint.setdefault(row.endpoint_id, []).append(row)
        for endpoint, mine in by_endpoint.items():
            if not self._room(endpoint):  # its breaker has opened meanwhile
                self.give_back(mine)
                continue
            self._backlog.add(endpoint, host_of(self.targets[endpoint].url), mine)
            if len(mine) >= rooms[endpoint]:
                self._more.add(endpoint)
        self._filled()
