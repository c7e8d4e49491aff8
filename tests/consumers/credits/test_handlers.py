"""What the credits consumer books, from batches as the runtime hands them over."""

import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from consumers.batch import Batch
from consumers.credits.handlers import CreditsHandler
from contracts import catalog
from contracts.errors import ConfigError, DatabaseUnavailable, InvalidRecord
from contracts.events import ledger as events
from contracts.events.auth import KeyCreatedV1
from contracts.events.credits import CreditsGrantedV1, CreditsPurchasedV1
from contracts.events.usage import UsageRecordedV1
from contracts.rules.pricing import Price, PriceBook
from infra.postgres import ledger_prices
from infra.postgres.database import Database
from tests.consumers.credits.conftest import Ledger
from tests.consumers.credits.records import NOON, adjustment, batch, grant, later, record, refund, usage
from tests.support.clock import FakeClock

CREDIT = 1_000_000


async def test_usage_is_charged_and_explained(ledger: Ledger) -> None:
    await ledger.handle(batch(grant("g"), usage("u", 374, output_tokens=44, user="ann", team="research")))
    charge = (await ledger.statement())[-1]
    assert (charge.kind, charge.amount_micros, charge.price_version) == ("charge", 4_180_000, 1)
    assert (charge.event_source, charge.event_id, charge.used_at) == ("urn:test", "u", NOON)
    assert (charge.available_after_micros, charge.debt_after_micros) == (95_820_000, 0)
    assert charge.detail == {
        "service": "chat",
        "model": "gpt-4o",
        "user": "ann",
        "team": "research",
        "input_tokens": 374,
        "output_tokens": 44,
        "total_tokens": 418,
        "lines": [
            {"item": "input_tokens", "quantity": "374", "price_micros": 10_000_000, "per": 1000, "micros": 3_740_000},
            {"item": "output_tokens", "quantity": "44", "price_micros": 10_000_000, "per": 1000, "micros": 440_000},
        ],
    }


async def test_the_same_batch_again_changes_nothing(ledger: Ledger) -> None:
    one = batch(grant("g"), usage("u1"), usage("u2"), adjustment("a", -3), refund("r", 2, of="u1"))
    await ledger.handle(one)
    before = (await ledger.end_state(), await ledger.counts())
    again = await ledger.handle(Batch(one.records))
    assert (await ledger.end_state(), await ledger.counts()) == before
    assert again.parked == []


async def test_the_same_id_with_another_time_is_the_same_event(ledger: Ledger) -> None:
    await ledger.handle(batch(usage("u", time=later(-60)), usage("u", time=later(-30), accepted_at=later(5))))
    parked = (await ledger.handle(batch(usage("u", time=later(0), accepted_at=later(99))))).parked
    assert parked == []
    assert [row.used_at for row in await ledger.statement()] == [later(-60)]


async def test_the_first_in_the_log_is_booked_whatever_the_order_in_the_batch(ledger: Ledger) -> None:
    first, second = usage("u", 1_000, offset=10), usage("u", 2_000, offset=11)
    one = await ledger.handle(batch(second, first))
    assert [(found.record.offset, found.error.code) for found in one.parked] == [(11, "identity_conflict")]
    assert [row.amount_micros for row in await ledger.statement()] == [10 * CREDIT]


async def test_a_known_id_with_another_body_is_parked_and_the_rest_is_booked(ledger: Ledger) -> None:
    await ledger.handle(batch(usage("u")))
    one = await ledger.handle(batch(usage("v"), usage("u", 7), usage("w"), usage("u", 7)))
    assert [(found.record.offset, found.error.code) for found in one.parked] == [
        (one.records[place].offset, "identity_conflict") for place in (1, 3)
    ]
    assert [row.event_id for row in await ledger.statement()] == ["u", "v", "w"]


async def test_the_same_id_of_other_sources_and_organizations_is_another_event(ledger: Ledger) -> None:
    await ledger.handle(batch(usage("u"), usage("u", source="urn:other"), usage("u", organization="org_2")))
    assert len(await ledger.statement()) == 2
    assert len(await ledger.statement("org_2")) == 1


async def test_any_order_of_a_batch_gives_the_same_end_state(ledger: Ledger, clock: FakeClock) -> None:
    chance = random.Random(7)
    records = [
        grant("g1", 30, accepted_at=later(3)),
        grant("g2", 5, priority=1, expires_at=later(8)),
        grant("g3", 5, scope={"models": ["claude*"]}, accepted_at=later(1)),
        *[usage(f"u{n}", chance.randrange(1, 900), accepted_at=later(chance.randrange(10))) for n in range(20)],
        *[usage(f"v{n}", 100, organization="org_2", partition=1, offset=n) for n in range(5)],
        adjustment("a", -2, accepted_at=later(5)),
        refund("r", 0.001, of="u3"),
        usage("u3", 901),
    ]
    await ledger.handle(batch(*records))
    wanted = await ledger.end_state()
    for _ in range(3):
        await _empty(ledger)
        await ledger.handle(batch(*chance.sample(records, len(records))))
        assert await ledger.end_state() == wanted
        await ledger.check()


async def _empty(ledger: Ledger) -> None:
    """Makes a ledger empty as only a migration could: with its triggers off."""
    append_only = ("ledger_transactions", "postings", "inbox")
    async with ledger.database.transaction() as tx:
        for table in append_only:
            await tx.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        await tx.exec_driver_sql(f"TRUNCATE {', '.join(append_only)}, ledger_heads, accounts, grants, ledger_progress")
        for table in append_only:
            await tx.exec_driver_sql(f"ALTER TABLE {table} ENABLE TRIGGER append_only")


async def test_usage_beyond_the_balance_is_owed_and_repaid_first(ledger: Ledger) -> None:
    await ledger.handle(batch(grant("g1", 5), usage("u", 2_000)))
    assert (await ledger.balance())[:3] == (0, 0, 15 * CREDIT)
    ledger.clock.advance(1)
    await ledger.handle(batch(grant("g2", 40, accepted_at=later(1))))
    assert (await ledger.balance())[:3] == (25 * CREDIT, 0, 0)
    (booked,) = [data for _, data in await ledger.stated() if isinstance(data, events.GrantBookedV1)][1:]
    assert (booked.amount_micros, booked.repaid_debt_micros) == (40 * CREDIT, 15 * CREDIT)


async def test_every_kind_of_credit_event_is_booked_against_its_account(ledger: Ledger) -> None:
    purchase = CreditsPurchasedV1(amount_micros=10 * CREDIT, payment_id="pay_1", price_paid_nanos=10**9)
    await ledger.handle(
        batch(record(purchase, "p"), grant("g", 20), adjustment("a1", 3), adjustment("a2", -1), refund("r", 2))
    )
    accounts = dict(await ledger.rows("SELECT kind, balance_micros / 1000000 FROM accounts"))
    assert accounts == {"issued": -10, "promo": -20, "adjusted": -2, "refunded": -2, "wallet": 34}
    assert sorted([lot.source for lot in (await ledger.balance()).lots]) == [
        "adjustment", "bonus", "purchase", "refund",
    ]  # fmt: skip
    assert await ledger.rows("SELECT cost_basis_nanos FROM grants WHERE source = 'purchase'") == [(10**9,)]


async def test_a_charge_is_refunded_once_also_in_a_later_batch(ledger: Ledger) -> None:
    await ledger.handle(batch(grant("g"), usage("u")))
    await ledger.handle(batch(refund("r1", 10, of="u")))
    parked = (await ledger.handle(batch(refund("r2", 1, of="u"), refund("r3", 1, of="never")))).parked
    assert [found.error.code for found in parked] == ["conflict", "not_found"]
    charge, back = (await ledger.statement())[1:]
    assert back.reverses == charge.id
    assert (await ledger.balance()).available_micros == 100 * CREDIT


async def test_a_refused_event_may_come_again_when_its_reason_is_gone(ledger: Ledger) -> None:
    early = refund("r", 10, of="u")
    assert len((await ledger.handle(batch(early))).parked) == 1
    await ledger.handle(batch(usage("u")))
    assert (await ledger.handle(batch(early))).parked == []


async def test_an_amount_beyond_the_ledger_is_parked_and_harms_nobody(ledger: Ledger) -> None:
    monster = UsageRecordedV1(service="video", unit="video", quantity=Decimal(10**12))
    one = batch(*[record(monster, f"m{n}") for n in range(3)], usage("u"))
    await ledger.handle(one)
    assert {type(found.error) for found in one.parked} == {InvalidRecord}
    assert [row.event_id for row in await ledger.statement()] == ["u"]


async def test_the_largest_ids_and_counts_that_the_front_door_takes_are_booked(ledger: Ledger) -> None:
    tokens = dict.fromkeys(("input_tokens", "output_tokens", "reasoning_tokens", "image_tokens"), 10**12)
    chance = random.Random(1)
    long = "".join(chr(0x10000 + chance.randrange(60_000)) for _ in range(255))
    data = UsageRecordedV1(service=long, model=long, user=long, team=long, **tokens)
    await ledger.handle(batch(record(data, long, source=long[::-1])))
    assert [row.amount_micros for row in await ledger.statement()] == [4 * 10**16]
    stated = [told for _, told in await ledger.stated() if isinstance(told, events.ChargeBookedV1)]
    assert [told.amount_micros for told in stated] == [4 * 10**16]


async def test_what_the_ledger_states_is_in_the_catalogue_and_names_its_cause(ledger: Ledger) -> None:
    await ledger.handle(
        batch(grant("g", 12, expires_at=later(60), reason="gift"), usage("u", 300), usage("v", 1_000, model="gpt-99"))
    )
    await ledger.handle(batch(adjustment("a", -1), grant("h", 50)))
    stated = await ledger.stated()
    assert [data.TYPE for _, data in stated] == [
        "ledger.grant.booked.v1",
        "ledger.charge.booked.v1",
        "credits.balance.low.v1",
        "ledger.charge.booked.v1",
        "ledger.model.unpriced.v1",
        "credits.balance.depleted.v1",
        "ledger.grant.booked.v1",
        "credits.balance.recovered.v1",
        "ledger.adjustment.booked.v1",
    ]
    assert [envelope.causeid for envelope, _ in stated] == ["g", "u", "u", "v", "v", "v", "h", "h", "a"]
    assert {envelope.source for envelope, _ in stated} == {"/hub/ledger"}
    assert len({envelope.id for envelope, _ in stated}) == len(stated)
    for envelope, data in stated:
        assert catalog.encode(envelope)
        assert data == type(data).model_validate(envelope.data)
    charge = stated[3][1]
    assert isinstance(charge, events.ChargeBookedV1)
    assert (charge.amount_micros, charge.from_debt_micros, charge.debt_micros) == (10 * CREDIT, CREDIT, CREDIT)


async def test_an_unpriced_model_is_told_once_a_batch(ledger: Ledger) -> None:
    await ledger.handle(batch(*[usage(f"u{n}", model="gpt-99") for n in range(5)], usage("x", model="gpt-98")))
    told = [data for _, data in await ledger.stated() if isinstance(data, events.ModelUnpricedV1)]
    assert [data.model for data in told] == ["gpt-99", "gpt-98"]


async def test_usage_is_priced_by_the_version_in_force_when_it_was_used(ledger: Ledger) -> None:
    await ledger.handle(batch(usage("u1", time=datetime(2016, 1, 1, tzinfo=UTC))))
    book = PriceBook(2, later(100), (Price("tokens", 1, 1, organization="org_1"), Price("tokens", 5, 1)))
    async with ledger.database.transaction() as tx:
        assert await ledger_prices.publish(tx, book, NOON)
    await ledger.handle(
        batch(usage("u2", time=later(99)), usage("u3", time=later(100)), usage("u4", time=later(100), organization="o"))
    )
    assert [(row.price_version, row.amount_micros) for row in await ledger.statement()] == [
        (1, 10 * CREDIT), (1, 10 * CREDIT), (2, 1_000),
    ]  # fmt: skip
    assert (await ledger.statement("o"))[0].amount_micros == 5_000


async def test_a_published_version_is_never_replaced(ledger: Ledger) -> None:
    async with ledger.database.transaction() as tx:
        assert not await ledger_prices.publish(tx, PriceBook(1, NOON, ()), NOON)
        assert [len(book.prices) for book in await ledger_prices.load_books(tx)] == [14]


async def test_without_a_price_book_nothing_is_booked(database: Database, clock: FakeClock) -> None:
    with pytest.raises(ConfigError, match="aihub seed"):
        await CreditsHandler(database, clock).handle(batch(usage("u")))


async def test_events_of_other_families_are_not_the_ledgers_business(ledger: Ledger) -> None:
    data = KeyCreatedV1(key_id="k", name="n")
    await ledger.handle(batch(record(data, "k")))
    assert set((await ledger.counts()).values()) == {0}


async def test_progress_goes_forward_only(ledger: Ledger) -> None:
    await ledger.handle(batch(usage("u", offset=41, accepted_at=later(5))))
    await ledger.handle(batch(usage("v", offset=7)))
    assert await ledger.rows("SELECT * FROM ledger_progress") == [("aihub.usage.v1", 0, 42, later(5))]


async def test_a_failure_before_the_commit_leaves_nothing(ledger: Ledger) -> None:
    async with ledger.database.transaction() as tx:
        await tx.exec_driver_sql("ALTER TABLE ledger_progress ADD CONSTRAINT broken CHECK (next_offset < 0)")
    with pytest.raises(Exception, match="broken"):
        await ledger.handle(batch(grant("g"), usage("u")))
    assert set((await ledger.counts()).values()) == {0}
    async with ledger.database.transaction() as tx:
        await tx.exec_driver_sql("ALTER TABLE ledger_progress DROP CONSTRAINT broken")
    await ledger.handle(batch(grant("g"), usage("u")))
    assert len(await ledger.statement()) == 2


async def test_a_database_that_is_away_is_reported_as_unavailable(clock: FakeClock) -> None:
    away = Database.open("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailable):
        await CreditsHandler(away, clock).handle(batch(usage("u")))
    await away.close()


async def test_booking_never_goes_back_in_time_when_the_clock_does(ledger: Ledger) -> None:
    await ledger.handle(batch(usage("u")))
    ledger.clock.advance(-3600)
    await ledger.handle(batch(usage("v")))
    booked = [row.booked_at for row in await ledger.statement()]
    assert booked == sorted(booked)


async def test_a_grant_takes_part_from_its_beginning_to_its_end(ledger: Ledger) -> None:
    data = CreditsGrantedV1(amount_micros=100 * CREDIT, effective_at=later(10), expires_at=later(20))
    await ledger.handle(batch(record(data, "g"), *[usage(f"u{n}", 100, accepted_at=later(n)) for n in (9, 10, 19, 20)]))
    assert (await ledger.balance()).debt_micros == 2 * CREDIT
    ledger.clock.set(later(15))
    assert (await ledger.balance()).available_micros == 98 * CREDIT
