"""A credits handler on a fresh database with the seed prices, and ways to look at what it wrote."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text

from consumers.batch import Batch
from consumers.credits.handlers import CreditsHandler
from contracts import catalog
from contracts.envelope import Envelope
from contracts.events.base import EventData
from infra.ops.seed_prices import seed_prices
from infra.postgres import ledger_proof, ledger_reads
from infra.postgres.database import Database
from infra.postgres.ledger_reads import Balance, Transaction
from tests.consumers.credits.records import ORGANIZATION
from tests.support.clock import FakeClock


@dataclass
class Ledger:
    """The handler, and questions about its effects."""

    database: Database
    clock: FakeClock

    def __post_init__(self) -> None:
        self.handler = CreditsHandler(self.database, self.clock)

    async def handle(self, batch: Batch) -> Batch:
        """Handles the batch and gives it back with what was parked."""
        await self.handler.handle(batch)
        return batch

    async def rows(self, sql: str, **values: Any) -> list[Any]:
        async with self.database.transaction() as tx:
            return [tuple(row) for row in await tx.execute(text(sql), values)]

    async def balance(self, organization: str = ORGANIZATION) -> Balance:
        async with self.database.transaction() as tx:
            return await ledger_reads.balance(tx, organization, self.clock.now())

    async def statement(self, organization: str = ORGANIZATION) -> list[Transaction]:
        """The transactions, the oldest first."""
        async with self.database.transaction() as tx:
            return list(await ledger_reads.statement(tx, organization, limit=10_000))[::-1]

    async def stated(self) -> list[tuple[Envelope, EventData]]:
        """What waits in the outbox, read back through the catalogue."""
        rows = await self.rows("SELECT payloads FROM outbox ORDER BY id")
        return [catalog.decode(value) for (payloads,) in rows for value in payloads]

    async def counts(self) -> dict[str, int]:
        """Rows by table."""
        tables = ("inbox", "ledger_transactions", "postings", "grants", "accounts", "ledger_heads", "outbox")
        return {table: (await self.rows(f"SELECT count(*) FROM {table}"))[0][0] for table in tables}

    async def end_state(self) -> dict[str, Any]:
        """All that must not depend on the order of delivery: no ids, no numbers, no instants of booking."""
        return {
            "accounts": await self.rows("SELECT * FROM accounts ORDER BY 1, 2"),
            "grants": await self.rows(
                "SELECT organization_id, event_source, event_id, amount_micros, remaining_micros FROM grants"
                " ORDER BY 1, 2, 3"
            ),
            "transactions": await self.rows(
                "SELECT organization_id, seq, kind, event_source, event_id, amount_micros, available_after_micros,"
                " debt_after_micros, detail - 'grant_id' FROM"
                " (SELECT *, detail::jsonb AS d FROM ledger_transactions) AS t"
                " ORDER BY organization_id, seq".replace("detail - 'grant_id'", "d - 'grant_id'")
            ),
            "heads": await self.rows("SELECT organization_id, seq, level FROM ledger_heads ORDER BY 1"),
            "progress": await self.rows("SELECT * FROM ledger_progress ORDER BY 1, 2"),
        }

    async def check(self) -> None:
        """Fails when a law or a chain is broken."""
        async with self.database.transaction() as tx:
            assert await ledger_proof.breaches(tx) == []
            for (organization,) in (await tx.execute(text("SELECT organization_id FROM ledger_heads"))).all():
                assert (await ledger_proof.verify(tx, organization)).broken_seq is None


@pytest.fixture
async def ledger(database: Database, clock: FakeClock) -> AsyncIterator[Ledger]:
    """A handler with prices; whatever the test did, the books balance at its end."""
    await seed_prices(database, clock)
    one = Ledger(database, clock)
    yield one
    await one.check()
