"""What time does to lots of credits: they begin and they end, each booked once; steps of the sweeper.

Both steps bear running twice at once and being late: a transaction is dated (`accepted_at`) by the instant at which
the lot began or ended. `through` is up to when the ledger has booked everything that was accepted
(`complete_through` of the API): a lot is not ended before the usage that it still had to pay for is booked.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from typing import Final, TypeAlias

from consumers.credits.handlers import load_states
from consumers.credits.pages import Page
from contracts.rules.credits import Activation, Expiry, Fact, Kind, State, book
from infra.clock import Clock
from infra.ids import new_uuid
from infra.postgres import ledger, ledger_lots
from infra.postgres.database import Database, Tx

ORGANIZATIONS_AT_ONCE: Final = 200

Due: TypeAlias = Callable[[Tx, datetime, int], Awaitable[Sequence[str]]]
Facts: TypeAlias = Callable[[State, datetime, datetime], Iterator[Fact]]


async def expire_grants(database: Database, clock: Clock, *, through: datetime | None = None) -> int:
    """How many lots were ended: what was left of them goes to `expired`, told as ledger.expiry.booked.v1.

    Raises: DatabaseUnavailable.
    """
    return await _sweep(database, clock.now(), through, ledger_lots.with_ended, _endings, Kind.EXPIRY)


async def activate_grants(database: Database, clock: Clock, *, through: datetime | None = None) -> int:
    """How many lots that were granted for later have begun: each repays what is owed, once.

    Raises: DatabaseUnavailable.
    """
    return await _sweep(database, clock.now(), through, ledger_lots.with_begun, _beginnings, Kind.ACTIVATION)


def _endings(state: State, through: datetime, now: datetime) -> Iterator[Fact]:
    """The ends; a lot that nobody saw begin has its turn at repaying first."""
    for grant in state.grants:
        if grant.expires_at is not None and grant.expires_at <= through:
            if not grant.settled:
                yield Activation(new_uuid(), grant.effective_at, now, grant.id)
            yield Expiry(new_uuid(), grant.expires_at, now, grant.id)


def _beginnings(state: State, through: datetime, now: datetime) -> Iterator[Fact]:
    for grant in state.grants:
        if not grant.settled and grant.effective_at <= through:
            yield Activation(new_uuid(), grant.effective_at, now, grant.id)


async def _sweep(
    database: Database, now: datetime, through: datetime | None, due: Due, facts: Facts, kind: Kind
) -> int:
    """Books what is due, so many organizations a transaction; the heads are locked as by any batch."""
    until, done = min(through or now, now), 0
    while True:
        async with database.transaction() as tx:
            organizations = await due(tx, until, ORGANIZATIONS_AT_ONCE)
            if not organizations:
                return done
            heads = await ledger.lock_heads(tx, organizations)
            page = Page(now)
            for organization, state in (await load_states(tx, heads)).items():
                booked = book(state, facts(state, until, now))
                page.add(organization, heads[organization], state, booked, {})
                done += sum(booking.kind is kind for booking in booked.bookings)
            await page.write(tx)
