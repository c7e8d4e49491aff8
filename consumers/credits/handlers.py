"""Books a batch of records in one transaction: the effect, its memory and what it states commit together."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter

from consumers.batch import Batch, Record
from consumers.credits.facts import (
    Entry,
    Identity,
    Incoming,
    Refused,
    entry_of,
    in_log_order,
    refunded_by,
    sort_out,
)
from consumers.credits.pages import Page
from contracts import catalog
from contracts.errors import ConfigError
from contracts.events.usage import UsageRecordedV1
from contracts.rules.credits import State, book
from contracts.rules.pricing import PriceBook
from infra.clock import Clock
from infra.postgres import ledger, ledger_prices, ledger_write
from infra.postgres.database import Database, Tx
from infra.postgres.ledger import Head


class CreditsHandler:
    """The credits consumer's handler; `handle` may be called again with the same records, from anywhere, at any time.

    It holds nothing but the database and the price books, whose versions never change.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self._books: tuple[PriceBook, ...] = ()

    async def handle(self, batch: Batch) -> None:
        """Books what is new, drops what was booked before, parks what brings a known identity with another body.

        Raises: DatabaseUnavailable (nothing was booked: try again); ConfigError without a price book.
        """
        incoming = in_log_order(batch.records)
        if not incoming:
            return
        async with self.database.transaction() as tx:
            refused = await self._book(tx, incoming)
        for record, error in refused:
            batch.park(record, error)

    async def _book(self, tx: Tx, incoming: Sequence[Incoming]) -> list[Refused]:
        heads = await ledger.lock_heads(tx, list({one.identity[0] for one in incoming}))
        known = await ledger.remembered(tx, list({one.identity for one in incoming}))
        fresh, refused = sort_out(incoming, {identity: row.body_hash for identity, row in known.items()})
        if fresh:
            page, inbox, refusals = await self._fill(tx, heads, fresh, await self._prices(tx))
            await ledger_write.add_inbox(tx, inbox)
            await page.write(tx)
            refused += refusals
        await ledger_write.advance(tx, _progress([one.record for one in incoming]))
        return refused

    async def _fill(
        self, tx: Tx, heads: dict[str, Head], fresh: Sequence[Incoming], books: Sequence[PriceBook]
    ) -> tuple[Page, list[tuple[object, ...]], list[Refused]]:
        """The rows to write, what to remember, and what is refused.

        One organization after the other, from the price to the rows, so that each step works on what the step before
        it has just made, and not on a whole batch of it.
        """
        by_organization: dict[str, list[Incoming]] = {}
        for one in fresh:
            by_organization.setdefault(one.identity[0], []).append(one)
        states = await load_states(tx, {one: heads[one] for one in by_organization}, refunded_by(fresh))
        page, inbox, refused = Page(self.clock.now()), list[tuple[object, ...]](), list[Refused]()
        for organization in sorted(by_organization):
            entries = {
                entry.fact.id: entry for entry in [entry_of(one, books) for one in by_organization[organization]]
            }
            booked = book(states[organization], [entry.fact for entry in entries.values()])
            page.add(organization, heads[organization], states[organization], booked, entries)
            refusals = {fact.id: Refused(entries[fact.id].incoming.record, error) for fact, error in booked.refusals}
            inbox += [_inbox_row(entry) for fact_id, entry in entries.items() if fact_id not in refusals]
            refused += refusals.values()
        return page, inbox, refused

    async def _prices(self, tx: Tx) -> tuple[PriceBook, ...]:
        """All versions of the price book; read again when one was published."""
        newest = await ledger_prices.newest_version(tx)
        if newest == 0:
            raise ConfigError("There is no price book: run `aihub seed`.")
        if not self._books or self._books[-1].version != newest:
            self._books = await ledger_prices.load_books(tx)
        return self._books


async def load_states(tx: Tx, heads: dict[str, Head], refunded: Sequence[Identity] = ()) -> dict[str, State]:
    """The state of every locked organization, with the charges of these usage events."""
    organizations = sorted(heads)
    grants = await ledger.open_grants(tx, organizations)
    balances = await ledger.balances(tx, organizations)
    charged = await ledger.charges_of(tx, refunded) if refunded else {}
    return {
        organization: State(
            tuple(grants.get(organization, ())),
            balances.get(organization, {}),
            heads[organization].low_threshold_micros,
            heads[organization].level,
            {(source, event_id): one for (owner, source, event_id), one in charged.items() if owner == organization},
        )
        for organization in organizations
    }


def _inbox_row(entry: Entry) -> tuple[object, ...]:
    record = entry.incoming.record
    organization, source, event_id = entry.incoming.identity
    usage = record.data if isinstance(record.data, UsageRecordedV1) else None
    return (
        organization, event_id, source, entry.incoming.body_hash, catalog.family(record.envelope.type),
        record.topic.name, record.partition, record.offset, record.envelope.acceptedat, entry.fact.id,
        usage.input_tokens if usage else 0, usage.output_tokens if usage else 0, usage.total_tokens if usage else 0,
    )  # fmt: skip


def _progress(records: Sequence[Record]) -> dict[tuple[str, int], tuple[int, datetime]]:
    """(next offset, latest acceptance) by topic and partition, of records in the order of the log."""
    found: dict[tuple[str, int], tuple[int, datetime]] = {}
    for place, mine in groupby(records, key=attrgetter("topic.name", "partition")):
        group = list(mine)
        found[place] = (group[-1].offset + 1, max([record.envelope.acceptedat for record in group]))
    return found
