"""Many handlers at once: queues, never deadlocks, one effect."""

import asyncio
import random

import pytest

from consumers.batch import Batch
from consumers.credits.handlers import CreditsHandler
from consumers.credits.lots import activate_grants, expire_grants
from contracts.errors import DatabaseUnavailable
from infra.ops.seed_prices import seed_prices
from infra.postgres.database import Database
from tests.consumers.credits.conftest import Ledger
from tests.consumers.credits.records import batch, grant, later, usage
from tests.support.clock import FakeClock
from tests.support.eventually import eventually

CREDIT = 1_000_000


async def test_the_same_batch_from_eight_connections_at_once_has_one_effect(ledger: Ledger) -> None:
    records = [grant(f"g{n}", 5, organization=f"org_{n}") for n in range(6)]
    records += [usage(f"u{n}", 100, organization=f"org_{n % 6}", offset=n) for n in range(60)]
    handlers = [CreditsHandler(ledger.database, ledger.clock) for _ in range(8)]
    shuffled = [random.Random(n).sample(records, len(records)) for n in range(8)]
    batches = [Batch(one) for one in shuffled]
    await asyncio.gather(*(handler.handle(one) for handler, one in zip(handlers, batches, strict=True)))
    counts = await ledger.counts()
    assert (counts["inbox"], counts["ledger_transactions"], counts["postings"]) == (66, 66, 66 * 2)
    assert [one.parked for one in batches] == [[]] * 8
    for number in range(6):
        assert (await ledger.balance(f"org_{number}"))[:3] == (0, 0, 5 * CREDIT)


async def test_overlapping_batches_of_more_handlers_than_connections_all_get_through(ledger: Ledger) -> None:
    events = [usage(f"u{n}", 100, organization=f"org_{n % 5}", offset=n) for n in range(120)]
    batches = [batch(*random.Random(n).sample(events, 60)) for n in range(24)]
    wanted = {found.envelope.id for one in batches for found in one.records}
    await asyncio.gather(*(CreditsHandler(ledger.database, ledger.clock).handle(one) for one in batches))
    assert {row[0] for row in await ledger.rows("SELECT event_id FROM inbox")} == wanted
    assert (await ledger.counts())["ledger_transactions"] == len(wanted)


async def test_of_two_bodies_sent_at_once_one_is_booked_and_the_other_parked(ledger: Ledger) -> None:
    batches = [batch(usage("u", tokens, organization=f"org_{n}")) for n in range(5) for tokens in (1, 2)]
    await asyncio.gather(*(CreditsHandler(ledger.database, ledger.clock).handle(one) for one in batches))
    assert sorted(len(one.parked) for one in batches) == [0] * 5 + [1] * 5
    assert (await ledger.counts())["ledger_transactions"] == 5


async def test_sweeping_and_booking_at_once_end_each_lot_once(ledger: Ledger) -> None:
    await ledger.handle(batch(*[grant(f"g{n}", 10, organization=f"org_{n}", expires_at=later(60)) for n in range(10)]))
    ledger.clock.set(later(120))
    spent = [batch(usage(f"u{n}", 100, organization=f"org_{n}", accepted_at=later(30))) for n in range(10)]
    await asyncio.gather(
        *(CreditsHandler(ledger.database, ledger.clock).handle(one) for one in spent),
        *(expire_grants(ledger.database, ledger.clock) for _ in range(4)),
        *(activate_grants(ledger.database, ledger.clock) for _ in range(2)),
    )
    kinds = dict(await ledger.rows("SELECT kind, count(*) FROM ledger_transactions GROUP BY 1"))
    assert kinds["grant"] == kinds["charge"] == 10
    assert kinds["expiry"] == 10
    assert await ledger.rows("SELECT count(*) FROM grants WHERE is_open") == [(0,)]


async def test_prices_seeded_from_two_processes_at_once_are_there_once(database: Database, clock: FakeClock) -> None:
    added = await asyncio.gather(*(seed_prices(database, clock) for _ in range(4)))
    assert sorted(added) == [False, False, False, True]


async def test_a_dead_connection_in_the_middle_leaves_nothing_and_the_retry_books_all(ledger: Ledger) -> None:
    kill = """
        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'
    """

    async def killed() -> bool:
        return bool((await ledger.rows(kill))[0][0])

    async with ledger.database.transaction() as holder:
        await holder.exec_driver_sql("INSERT INTO ledger_progress VALUES ('aihub.usage.v1', 0, 0, now())")
        waiting = asyncio.create_task(ledger.handle(batch(grant("g"), usage("u"))))
        await eventually(killed)
        with pytest.raises(DatabaseUnavailable):
            await waiting
    assert set((await ledger.counts()).values()) == {0}
    await ledger.handle(batch(grant("g"), usage("u")))
    assert len(await ledger.statement()) == 2
