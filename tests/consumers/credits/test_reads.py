"""What people read of the ledger."""

from infra.postgres import ledger_reads
from tests.consumers.credits.conftest import Ledger
from tests.consumers.credits.records import NOON, adjustment, batch, grant, later, usage

CREDIT = 1_000_000


async def test_the_balance_shows_lots_in_the_order_of_spending(ledger: Ledger) -> None:
    await ledger.handle(
        batch(
            grant("late", 10, effective_at=later(600)),
            grant("first", 20, priority=1, reason="welcome"),
            grant("soon", 30, expires_at=later(900)),
            grant("spent", 1, priority=0),
            usage("u", 100),
        )
    )
    balance = await ledger.balance()
    assert (balance.available_micros, balance.held_micros, balance.debt_micros, balance.seq) == (50 * CREDIT, 0, 0, 5)
    assert [(lot.remaining_micros // CREDIT, lot.is_usable) for lot in balance.lots] == [
        (20, True), (30, True), (10, False),
    ]  # fmt: skip
    assert balance.lots[0].reason == "welcome"
    assert balance.lots[0].scope == {"services": [], "models": [], "teams": []}


async def test_an_organization_without_any_event_has_nothing(ledger: Ledger) -> None:
    assert await ledger.balance("org_none") == (0, 0, 0, (), 0)
    assert await ledger.statement("org_none") == []


async def test_a_past_balance_is_what_was_shown_then_and_never_changes(ledger: Ledger) -> None:
    seen = {}
    for step, one in enumerate(
        [grant("g", 30), usage("u", 2_000), usage("v", 2_000), grant("h", 50), adjustment("a", -5)]
    ):
        ledger.clock.set(later(step * 60))
        await ledger.handle(batch(one))
        seen[ledger.clock.now()] = await ledger.balance()
    ledger.clock.set(later(600))
    await ledger.handle(batch(usage("late", 300, accepted_at=NOON)))
    async with ledger.database.transaction() as tx:
        for instant, balance in seen.items():
            assert await ledger_reads.balance_at(tx, "org_1", instant) == balance
        assert (await ledger_reads.balance_at(tx, "org_1", later(-1)))[:5] == (0, 0, 0, (), 0)
        assert (await ledger_reads.balance_at(tx, "org_1", later(119))).debt_micros == 0
        assert (await ledger_reads.balance_at(tx, "org_1", later(120))).debt_micros == 10 * CREDIT


async def test_the_number_at_an_instant_is_found_in_a_chain_of_any_length(ledger: Ledger) -> None:
    for number in range(1, 12):
        ledger.clock.set(later(number * 10))
        await ledger.handle(batch(usage(f"u{number}")))
        async with ledger.database.transaction() as tx:
            found = [await ledger_reads.seq_at(tx, "org_1", later(n * 10 + 5)) for n in range(number + 1)]
        assert found == list(range(number + 1))


async def test_the_statement_is_read_page_by_page_the_newest_first(ledger: Ledger) -> None:
    await ledger.handle(batch(*[usage(f"u{n}", accepted_at=later(n)) for n in range(7)]))
    seqs: list[int] = []
    async with ledger.database.transaction() as tx:
        page = await ledger_reads.statement(tx, "org_1", limit=3)
        while page:
            seqs += [row.seq for row in page]
            page = await ledger_reads.statement(tx, "org_1", before_seq=seqs[-1], limit=3)
    assert seqs == [7, 6, 5, 4, 3, 2, 1]


async def test_an_event_is_found_with_its_place_and_transaction(ledger: Ledger) -> None:
    await ledger.handle(batch(usage("u", offset=5, partition=2), usage("u", source="urn:other", offset=6, partition=2)))
    async with ledger.database.transaction() as tx:
        one, other = await ledger_reads.entries_of(tx, "org_1", "u")
        assert await ledger_reads.entries_of(tx, "org_1", "u", "urn:test") == [other]
        assert await ledger_reads.entries_of(tx, "org_2", "u") == []
        progress = await ledger_reads.progress(tx)
    assert (one.source, one.family, one.topic, one.partition, one.offset) == (
        "urn:other", "usage", "aihub.usage.v1", 2, 6,
    )  # fmt: skip
    assert one.transaction is not None
    assert one.transaction.event_id == "u"
    assert progress == {("aihub.usage.v1", 2): (7, NOON)}
