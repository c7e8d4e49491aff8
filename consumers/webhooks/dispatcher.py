"""The dispatcher (role `deliveries`): leases due rows, sends them, and has the results written down."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

import structlog

from consumers.webhooks.backlog import Backlog
from consumers.webhooks.delivery import host_of, opened, request_headers, result_of
from consumers.webhooks.gauge import measure_due
from consumers.webhooks.incarnation import HEARTBEAT_S, Incarnation
from consumers.webhooks.options import DispatcherOptions
from consumers.webhooks.recorder import Recorder
from consumers.webhooks.slots import Slot, Slots, Trust
from consumers.webhooks.spans import delivery_span
from contracts.errors import DatabaseUnavailable
from contracts.rules.deliveries import Outcome
from infra.clock import Clock
from infra.http.sender import Sender
from infra.postgres import webhooks_queue as queue
from infra.postgres.database import Database, Tx
from infra.postgres.webhooks_fanout import CHANNEL
from infra.postgres.webhooks_queue import Leased, Target, Waiting

LISTEN_AGAIN_S: Final = 1.0
TARGET_AGE_S: Final = 1.0
ENDPOINTS_PER_LEASE: Final = 64
ROWS_IN_HAND: Final = 2048
ROOM: Final = {Trust.PROVEN: 256, Trust.NEW: 16, Trust.SUSPECT: 1}
"""Rows in hand for one endpoint; more are leased when half of them are gone."""

log = structlog.get_logger()

__all__ = ["Dispatcher", "DispatcherOptions"]


class Dispatcher:
    """One incarnation of a dispatcher; any number of them share the queue. `await run(stop)`."""

    def __init__(
        self, database: Database, sender: Sender, clock: Clock, options: DispatcherOptions | None = None
    ) -> None:
        self._database = database
        self._sender = sender
        self._clock = clock
        self._options = options or DispatcherOptions()
        self._life = Incarnation(database, clock, self._options.name)
        self._slots = Slots(self._options.limits)
        self._backlog = Backlog(self._slots)
        self._recorder = Recorder(database, clock)
        self._targets: dict[str, Target] = {}
        self._read_at: dict[str, float] = {}
        self._more: set[str] = set()
        self._hungry: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._sending: dict[int, UUID] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._returned: list[Leased] = []
        self._lease_lost = False
        self._stopping = False
        self._group: asyncio.TaskGroup | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Delivers until `stop`; then finishes what is in flight, within 10 s, and frees the rest.

        Waits while the database is away. Raises on a bug; its leases are free 6 s later at the latest.
        """
        if not await self._life.begin(stop):
            return
        async with asyncio.TaskGroup() as self._group:
            loops = [self._group.create_task(loop()) for loop in (self._beat, self._poll, self._listen, self._lease)]
            loops.append(self._group.create_task(self._recorder.run()))
            loops.append(self._group.create_task(measure_due(self._database, self._clock)))
            await stop.wait()
            await self._drain()
            for task in loops:
                task.cancel()
        await self._unless_down(self._life.end)

    async def _beat(self) -> None:
        while True:
            await self._unless_down(self._heartbeat)
            await asyncio.sleep(HEARTBEAT_S)

    async def _heartbeat(self) -> None:
        """When others took it for dead: what waits in hand is theirs, what is in flight may be sent twice."""
        was_silent = self._life.silent
        if not await self._life.beat():
            self._backlog.clear()
        if was_silent:
            self._pump()

    async def _listen(self) -> None:
        """Hears of new rows at once; without the connection the poll finds them."""
        while True:
            await self._unless_down(self._listen_once)
            await asyncio.sleep(LISTEN_AGAIN_S)

    async def _listen_once(self) -> None:
        closed = asyncio.Event()
        async with self._database.listen(CHANNEL, lambda names: self._due(names.split(","))) as connection:
            connection.add_termination_listener(lambda _connection: closed.set())
            if not connection.is_closed():
                await closed.wait()

    async def _poll(self) -> None:
        """Finds what no notification told of: retries that are due, leases of the dead, endpoints switched off."""
        while True:
            await self._unless_down(self._look_around)
            await asyncio.sleep(self._options.poll_s)

    async def _look_around(self) -> None:
        now, paused, returned = self._clock.now(), self._recorder.paused(), tuple(self._returned)
        async with self._database.transaction() as tx:
            await queue.release(tx, returned)
            await queue.bury_dead(tx, self._life.id, now)
            found = await queue.waiting(tx, self._life.id, now)
        del self._returned[: len(returned)]
        self._recorder.resume(paused & {endpoint.endpoint_id for endpoint in found if not endpoint.paused})
        self._due([endpoint.endpoint_id for endpoint in found if endpoint.due and endpoint.active])
        for endpoint in found:
            if not endpoint.active:
                await self._set_aside(endpoint)
        self._pump()

    async def _set_aside(self, endpoint: Waiting) -> None:
        self._return(self._backlog.drop(endpoint.endpoint_id))
        async with self._database.transaction() as tx:
            await queue.set_aside(tx, self._life.id, endpoint, self._clock.now())

    def _due(self, endpoints: Sequence[str]) -> None:
        self._more.update(endpoint for endpoint in endpoints if endpoint)
        for endpoint in endpoints:
            self._feed(endpoint)

    def _feed(self, endpoint: str) -> None:
        """Has more rows leased for an endpoint that has some and whose queue runs low."""
        if endpoint in self._more and self._room(endpoint):
            self._hungry[endpoint] = None
            self._wake.set()

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
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._hungry and self._backlog.size < ROWS_IN_HAND and not self._stopping:
                if not await self._unless_down(self._lease_once):
                    self._lease_lost = True
                    await asyncio.sleep(self._options.poll_s)

    async def _lease_once(self) -> None:
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
            self._targets |= {name: opened(target, self._options.sealer) for name, target in found.items()}
            self._read_at |= dict.fromkeys(stale, at)
            for endpoint in stale:
                self._recorder.watch(self._targets[endpoint])

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
        return [*(row.id for row in self._backlog.rows()), *self._sending.values(), *self._recorder.unwritten()]

    def _accept(self, rows: Sequence[Leased], rooms: dict[str, int]) -> None:
        by_endpoint: dict[str, list[Leased]] = {}
        for row in rows:
            by_endpoint.setdefault(row.endpoint_id, []).append(row)
        for endpoint, mine in by_endpoint.items():
            if not self._room(endpoint):  # its breaker has opened meanwhile
                self._return(mine)
                continue
            self._backlog.add(endpoint, host_of(self._targets[endpoint].url), mine)
            if len(mine) >= rooms[endpoint]:
                self._more.add(endpoint)
        self._pump()

    def _pump(self) -> None:
        """Starts every attempt that has room, each in a task that goes on with the next row as long as it can."""
        while (taken := self._next()) and self._group is not None:
            self._start(*taken, self._group)

    def _next(self) -> tuple[Leased, Slot] | None:
        if self._stopping or self._life.silent:
            return None
        return self._backlog.take(asyncio.get_running_loop().time())

    def _start(self, leased: Leased, slot: Slot, group: asyncio.TaskGroup) -> None:
        task = group.create_task(self._send_on(leased, slot))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_on(self, leased: Leased, slot: Slot) -> None:
        taken: tuple[Leased, Slot] | None = (leased, slot)
        while taken:
            await self._send(*taken)
            taken = self._next()
            self._pump()

    async def _send(self, leased: Leased, slot: Slot) -> None:
        """One attempt, from the signature to the result in the recorder's hands."""
        self._sending[slot.number] = leased.id
        target = self._targets[leased.endpoint_id]
        self._feed(target.id)
        body = leased.payload.encode()
        with delivery_span(leased, target) as trace_headers:
            headers = request_headers(leased, target, self._clock.now(), body) | trace_headers
            reply = await self._sender.post(target.url, body, headers)
        outcome, result = result_of(leased, reply, self._clock.now(), self._options.chance())
        self._recorder.add(target.id, result)
        del self._sending[slot.number]
        freed = self._slots.release(slot, answered=reply.status is not None, timed_out=reply.timed_out)
        self._judge(target, outcome)
        self._backlog.freed(slot, freed)
        self._feed(target.id)

    def _judge(self, target: Target, outcome: Outcome) -> None:
        """Tells the breaker; when it opens, its rows go back without an attempt. An endpoint that is gone opens it."""
        breaker, at = self._recorder.watch(target), self._clock.now().timestamp()
        breaker.record(at, succeeded=outcome is Outcome.SUCCEEDED)
        if outcome is Outcome.GONE and breaker.open_until is None:
            breaker.trip(at)
        if breaker.open_until is not None:
            self._return(self._backlog.drop(target.id))

    def _return(self, rows: Sequence[Leased]) -> None:
        self._returned += rows
        self._more.update(row.endpoint_id for row in rows[:1])

    async def _unless_down(self, step: Callable[[], Awaitable[None]]) -> bool:
        """Whether the step was done; False when the database is away."""
        try:
            await step()
        except DatabaseUnavailable as error:
            log.warning("webhooks.database_away", reason=error.message)
            return False
        return True

    async def _drain(self) -> None:
        """Starts nothing new, waits for what is in flight, then cuts it off: uncounted, it is sent again."""
        self._stopping = True
        self._backlog.clear()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._options.drain_s)
            for task in late:
                task.cancel()
        try:
            async with asyncio.timeout(LISTEN_AGAIN_S * 2):
                await self._recorder.flush()
        except TimeoutError:
            log.warning("webhooks.results_lost", results=len(self._recorder.unwritten()))
