"""Lots begin and end at the right instant, also when the sweeper comes late."""

from consumers.credits.lots import activate_grants, expire_grants
from contracts.events import ledger as events
from tests.consumers.credits.conftest import Ledger
from tests.consumers.credits.records import batch, grant, later, usage

CREDIT = 1_000_000


async def test_what_is_left_expires_at_its_instant_also_after_downtime(ledger: Ledger) -> None:
    await ledger.handle(batch(grant("g", 30, expires_at=later(60)), grant("h", 20), usage("u")))
    ledger.clock.set(later(59))
    assert await expire_grants(ledger.database, ledger.clock) == 0
    ledger.clock.set(later(86_400))
    assert await expire_grants(ledger.database, ledger.clock) == 1
    expiry = (await ledger.statement())[-1]
    assert (expiry.kind, expiry.amount_micros, expiry.accepted_at) == ("expiry", 20 * CREDIT, later(60))
    assert (await ledger.balance()).available_micros == 20 * CREDIT
    told = (await ledger.stated())[-1][1]
    assert isinstance(told, events.ExpiryBookedV1)
    assert (told.amount_micros, told.expired_at, told.available_micros) == (20 * CREDIT, later(60), 20 * CREDIT)


async def test_sweeping_again_changes_nothing(ledger: Ledger) -> None:
    await ledger.handle(batch(grant("g", 30, expires_at=later(60))))
    ledger.clock.set(later(61))
    assert await expire_grants(ledger.database, ledger.clock) == 1
    before = await ledger.counts()
    assert await expire_grants(ledger.database, ledger.clock) == 0
    assert await ledger.counts() == before


async def test_a_lot_waits_for_usage_that_was_accepted_before_its_end(ledger: Ledger) -> None:
    await ledger.handle(batch(grant("g", 30, expires_at=later(60))))
    ledger.clock.set(later(90))
    assert await expire_grants(ledger.database, ledger.clock, through=later(10)) == 0
    await ledger.handle(batch(usage("u", accepted_at=later(59))))
    assert await expire_grants(ledger.database, ledger.clock, through=later(90)) == 1
    assert [row.amount_micros for row in await ledger.statement()] == [30 * CREDIT, 10 * CREDIT, 20 * CREDIT]
    assert (await ledger.balance()).debt_micros == 0


async def test_an_expiry_below_the_threshold_is_told(ledger: Ledger) -> None:
    await ledger.handle(batch(grant("g", 30, expires_at=later(60))))
    ledger.clock.set(later(61))
    await expire_grants(ledger.database, ledger.clock)
    assert [data.TYPE for _, data in await ledger.stated()][1:] == [
        "ledger.expiry.booked.v1", "credits.balance.low.v1", "credits.balance.depleted.v1",
    ]  # fmt: skip


async def test_a_lot_granted_for_later_repays_once_when_it_begins(ledger: Ledger) -> None:
    await ledger.handle(batch(grant("g", 30, effective_at=later(60)), usage("u")))
    assert (await ledger.balance())[:3] == (0, 0, 10 * CREDIT)
    ledger.clock.set(later(61))
    assert await activate_grants(ledger.database, ledger.clock) == 1
    assert await activate_grants(ledger.database, ledger.clock) == 0
    assert (await ledger.balance())[:3] == (20 * CREDIT, 0, 0)
    assert [row.kind for row in await ledger.statement()] == ["grant", "charge", "activation"]
    assert (await ledger.stated())[-1][1].TYPE == "credits.balance.recovered.v1"


async def test_lots_of_many_organizations_are_swept_in_rounds(ledger: Ledger) -> None:
    await ledger.handle(batch(*[grant(f"g{n}", 1, organization=f"org_{n}", expires_at=later(1)) for n in range(450)]))
    ledger.clock.set(later(2))
    assert await expire_grants(ledger.database, ledger.clock) == 450


async def test_a_lot_whose_whole_life_the_sweeper_missed_repays_before_it_ends(ledger: Ledger) -> None:
    await ledger.handle(batch(grant("g", 30, effective_at=later(60), expires_at=later(120)), usage("u")))
    ledger.clock.set(later(600))
    assert await expire_grants(ledger.database, ledger.clock) == 1
    assert await activate_grants(ledger.database, ledger.clock) == 0
    assert [(row.kind, row.amount_micros // CREDIT) for row in await ledger.statement()] == [
        ("grant", 30), ("charge", 10), ("activation", 10), ("expiry", 20),
    ]  # fmt: skip


async def test_usage_that_is_booked_after_a_later_grant_owes_nothing(ledger: Ledger) -> None:
    ledger.clock.set(later(60))
    await ledger.handle(batch(grant("g", 30, accepted_at=later(60))))
    await ledger.handle(batch(usage("u")))
    assert (await ledger.balance())[:3] == (20 * CREDIT, 0, 0)
