"""Writes results down in batches: rows, attempts, health of endpoints and what follows from it, in one transaction."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog

from contracts import catalog, topics
from contracts.envelope import Envelope
from contracts.errors import DatabaseUnavailable
from contracts.events.base import SYSTEM_SOURCE
from contracts.events.webhooks import EndpointDisabledV1, EndpointRecoveredV1
from contracts.rules.deliveries import Breaker, Outcome
from infra.clock import Clock
from infra.ids import new_id
from infra.postgres.database import Database, Tx
from infra.postgres.webhooks_queue import Target
from infra.postgres.webhooks_results import Change, Health, Result, record, update_health
from infra.telemetry import metrics
from producers import outbox

LINGER_S: Final = 0.02
BATCH: Final = 256
LARGEST: Final = 1024
"""What came while a write was under way goes in one: a write of 256 takes as long as 10,000 a second leave for it."""
RETRY_S: Final = 0.5

log = structlog.get_logger()


class Recorder:
    """Takes results as they come; what is not written yet is what a crash may send twice."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._pending: list[tuple[Result, str]] = []
        self._writing: list[tuple[Result, str]] = []
        self._unwell: set[str] = set()
        self._breakers: dict[str, Breaker] = {}
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._one_writes = asyncio.Lock()

    def watch(self, target: Target) -> Breaker:
        """The endpoint's breaker, as it was left when the endpoint is new here; told whether it was failing."""
        if target.failures or target.breaker_trips:
            self._unwell.add(target.id)
        if target.id not in self._breakers:
            until = target.breaker_until.timestamp() if target.breaker_until else None
            self._breakers[target.id] = Breaker(trips=target.breaker_trips, open_until=until)
        return self._breakers[target.id]

    def breaker(self, endpoint: str) -> Breaker | None:
        """The endpoint's breaker, if anything was ever sent to it from here."""
        return self._breakers.get(endpoint)

    def paused(self) -> set[str]:
        """Endpoints whose breaker is open, once the database knows it too."""
        if self.unwritten():
            return set()
        return {endpoint for endpoint, breaker in self._breakers.items() if breaker.open_until is not None}

    def resume(self, endpoints: set[str]) -> None:
        """Closes breakers that somebody else has closed: another dispatcher's success, or a person who enabled it."""
        self._breakers |= {endpoint: Breaker() for endpoint in endpoints}

    def add(self, endpoint: str, result: Result) -> None:
        """One more result to write."""
        self._pending.append((result, endpoint))
        self._arrived.set()
        if len(self._pending) >= BATCH:
            self._full.set()

    def unwritten(self) -> list[UUID]:
        """Deliveries whose results are not written yet."""
        return [result.delivery_id for result, _ in (*self._writing, *self._pending)]

    async def run(self) -> None:
        """Writes until cancelled; waits for the database as long as it takes."""
        while True:
            await self._arrived.wait()
            await self._linger()
            await self.flush()

    async def flush(self) -> None:
        """Returns when everything that was added so far is written."""
        async with self._one_writes:
            self._arrived.clear()
            while self._pending or self._writing:
                if not self._writing:
                    self._writing, self._pending = self._pending[:LARGEST], self._pending[LARGEST:]
                    self._full.clear()
                await self._try_to_write()

    async def _try_to_write(self) -> None:
        try:
            await self._write(self._writing)
            self._writing = []
        except DatabaseUnavailable as error:
            log.warning("webhooks.results_wait", reason=error.message, results=len(self._writing))
            await asyncio.sleep(RETRY_S)

    async def _linger(self) -> None:
        """Collects for a moment, so that a busy dispatcher writes in batches."""
        try:
            async with asyncio.timeout(LINGER_S):
                await self._full.wait()
        except TimeoutError:
            return

    async def _write(self, batch: Sequence[tuple[Result, str]]) -> None:
        now = self._clock.now()
        async with self._database.transaction() as tx:
            done = await record(tx, [result for result, _ in batch])
            news = self._news([(result, endpoint) for result, endpoint in batch if result.delivery_id in done])
            if news:
                await _state(tx, await update_health(tx, news, now), now)
        self._unwell = (self._unwell - {n.endpoint_id for n in news if n.succeeded}) | {
            n.endpoint_id for n in news if not n.succeeded
        }
        _measure([result for result, _ in batch], done)

    def _news(self, done: Sequence[tuple[Result, str]]) -> list[Health]:
        """Only endpoints whose health changes: a healthy one that succeeds costs nothing."""
        by_endpoint: dict[str, list[str]] = {}
        for result, endpoint in done:
            if result.outcome != Outcome.SUCCEEDED or endpoint in self._unwell:
                by_endpoint.setdefault(endpoint, []).append(result.outcome)
        return [self._health(endpoint, outcomes) for endpoint, outcomes in by_endpoint.items()]

    def _health(self, endpoint: str, outcomes: Sequence[str]) -> Health:
        breaker = self._breakers[endpoint]
        return Health(
            endpoint_id=endpoint,
            failed=sum(outcome != Outcome.SUCCEEDED for outcome in outcomes),
            succeeded=Outcome.SUCCEEDED in outcomes,
            gone=Outcome.GONE in outcomes,
            breaker_trips=breaker.trips,
            breaker_until=_instant(breaker.open_until),
        )


def _measure(results: Sequence[Result], done: set[UUID]) -> None:
    outcomes = Counter(result.outcome if result.delivery_id in done else "stale" for result in results)
    for outcome, count in outcomes.items():
        metrics.DELIVERIES.labels(outcome).inc(count)
    for result in results:
        metrics.DELIVERY_SECONDS.observe(result.duration_ms / 1000)


def _instant(timestamp: float | None) -> datetime | None:
    return None if timestamp is None else datetime.fromtimestamp(timestamp, UTC)


async def _state(tx: Tx, changes: Sequence[Change], now: datetime) -> None:
    """States what happened to endpoints, in the transaction that did it."""
    for change in changes:
        envelope = _envelope(change, now)
        await outbox.save(tx, topics.WEBHOOKS, change.organization, [catalog.encode(envelope)])


def _envelope(change: Change, now: datetime) -> Envelope:
    data = (
        EndpointRecoveredV1(endpoint_id=change.endpoint_id, url=change.url)
        if change.reason is None
        else EndpointDisabledV1(
            endpoint_id=change.endpoint_id, url=change.url, reason=change.reason, failures=change.failures
        )
    )
    return catalog.state(
        data,
        event_id=new_id("evt"),
        source=f"{SYSTEM_SOURCE}/webhooks",
        organization=change.organization,
        now=now,
        subject=change.endpoint_id,
    )
