"""The dispatcher (role `deliveries`): leases due rows, sends them, and has the results written down."""

import asyncio
from typing import Final
from uuid import UUID

import structlog

from consumers.webhooks.backlog import Backlog
from consumers.webhooks.delivery import request_headers, result_of
from consumers.webhooks.gauge import measure_due
from consumers.webhooks.incarnation import HEARTBEAT_S, Incarnation
from consumers.webhooks.leasing import Leasing
from consumers.webhooks.options import DispatcherOptions
from consumers.webhooks.outages import unless_down
from consumers.webhooks.recorder import Recorder
from consumers.webhooks.slots import Slot, Slots
from consumers.webhooks.spans import delivery_span
from contracts.rules.deliveries import Outcome
from infra.clock import Clock
from infra.http.sender import Sender
from infra.postgres import webhooks_queue as queue
from infra.postgres.database import Database
from infra.postgres.webhooks_fanout import CHANNEL
from infra.postgres.webhooks_queue import Leased, Target, Waiting

LISTEN_AGAIN_S: Final = 1.0

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
        self._sending: dict[int, UUID] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._group: asyncio.TaskGroup | None = None
        self._leasing = Leasing(
            database,
            clock,
            self._options,
            life=self._life,
            slots=self._slots,
            backlog=self._backlog,
            recorder=self._recorder,
            in_flight=self._sending.values,
            filled=self._pump,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Delivers until `stop`; then finishes what is in flight, within 10 s, and frees the rest.

        Waits while the database is away. Raises on a bug; its leases are free 6 s later at the latest.
        """
        if not await self._life.begin(stop):
            return
        async with asyncio.TaskGroup() as self._group:
            loops = [self._group.create_task(loop()) for loop in (self._beat, self._poll, self._listen)]
            loops += [self._group.create_task(part.run()) for part in (self._leasing, self._recorder)]
            loops.append(self._group.create_task(measure_due(self._database, self._clock)))
            await stop.wait()
            await self._drain()
            for task in loops:
                task.cancel()
        await unless_down(self._life.end)

    async def _beat(self) -> None:
        while True:
            await unless_down(self._heartbeat)
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
            await unless_down(self._listen_once)
            await asyncio.sleep(LISTEN_AGAIN_S)

    async def _listen_once(self) -> None:
        closed = asyncio.Event()
        async with self._database.listen(CHANNEL, lambda names: self._leasing.due(names.split(","))) as connection:
            connection.add_termination_listener(lambda _connection: closed.set())
            if not connection.is_closed():
                await closed.wait()

    async def _poll(self) -> None:
        """Finds what no notification told of: retries that are due, leases of the dead, endpoints switched off."""
        while True:
            await unless_down(self._look_around)
            await asyncio.sleep(self._options.poll_s)

    async def _look_around(self) -> None:
        now, paused = self._clock.now(), self._recorder.paused()
        async with self._database.transaction() as tx:
            released = await self._leasing.release(tx)
            await queue.bury_dead(tx, self._life.id, now)
            found = await queue.waiting(tx, self._life.id, now)
        released()
        self._recorder.resume(paused & {endpoint.endpoint_id for endpoint in found if not endpoint.paused})
        self._leasing.due([endpoint.endpoint_id for endpoint in found if endpoint.due and endpoint.active])
        for endpoint in found:
            if not endpoint.active:
                await self._set_aside(endpoint)
        self._pump()

    async def _set_aside(self, endpoint: Waiting) -> None:
        self._leasing.give_back(self._backlog.drop(endpoint.endpoint_id))
        async with self._database.transaction() as tx:
            await queue.set_aside(tx, self._life.id, endpoint, self._clock.now())

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
        target = self._leasing.targets[leased.endpoint_id]
        self._leasing.feed(target.id)
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
        self._leasing.feed(target.id)

    def _judge(self, target: Target, outcome: Outcome) -> None:
        """Tells the breaker; when it opens, its rows go back without an attempt. An endpoint that is gone opens it."""
        breaker, at = self._recorder.watch(target), self._clock.now().timestamp()
        breaker.record(at, succeeded=outcome is Outcome.SUCCEEDED)
        if outcome is Outcome.GONE and breaker.open_until is None:
            breaker.trip(at)
        if breaker.open_until is not None:
            self._leasing.give_back(self._backlog.drop(target.id))

    async def _drain(self) -> None:
        """Starts nothing new, waits for what is in flight, then cuts it off: uncounted, it is sent again."""
        self._stopping = True
        self._leasing.end()
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
