"""A batch is booked in several transactions at once; if one fails, the batch comes again until all are in."""

from collections.abc import Sequence

import pytest

from consumers.credits.facts import Incoming, Refused
from consumers.credits.handlers import CreditsHandler
from contracts.errors import DatabaseUnavailable
from tests.consumers.credits.conftest import Ledger
from tests.consumers.credits.records import batch, grant, usage

RECORDS = [
    one
    for number in range(4)
    for one in (
        grant(f"g{number}", organization=f"org_{number}", partition=number),
        usage(f"u{number}", organization=f"org_{number}", partition=number),
    )
]


class _Failing(CreditsHandler):
    """Cannot commit what comes from the odd partitions."""

    error: Exception

    async def _commit(self, incoming: Sequence[Incoming]) -> list[Refused]:
        if incoming[0].record.partition % 2:
            raise self.error
        return await super()._commit(incoming)


@pytest.mark.parametrize("error", [DatabaseUnavailable("away"), ZeroDivisionError("a bug")])
async def test_a_lane_that_fails_fails_the_batch_and_its_redelivery_books_the_rest_once(
    ledger: Ledger, error: Exception
) -> None:
    failing = _Failing(ledger.database, ledger.clock)
    failing.error = error
    with pytest.raises(type(error)):
        await failing.handle(batch(*RECORDS))
    assert (await ledger.counts())["inbox"] == 4
    await ledger.handle(batch(*RECORDS))
    await ledger.handle(batch(*RECORDS))
    assert (await ledger.counts())["inbox"] == 8
    for number in range(4):
        balance = await ledger.balance(f"org_{number}")
        assert (balance.available_micros, balance.debt_micros) == (90_000_000, 0)


async def test_the_progress_of_a_partition_moves_with_its_own_lane(ledger: Ledger) -> None:
    failing = _Failing(ledger.database, ledger.clock)
    failing.error = DatabaseUnavailable("away")
    with pytest.raises(DatabaseUnavailable):
        await failing.handle(batch(*RECORDS))
    rows = await ledger.rows("SELECT DISTINCT partition_no FROM ledger_progress ORDER BY 1")
    assert rows == [(0,), (2,)]


async def test_a_bug_in_one_lane_is_told_before_an_outage_in_another(ledger: Ledger) -> None:
    class Both(CreditsHandler):
        async def _commit(self, incoming: Sequence[Incoming]) -> list[Refused]:
            if incoming[0].record.partition % 2:
                raise ZeroDivisionError
            raise DatabaseUnavailable("away")

    with pytest.raises(ZeroDivisionError):
        await Both(ledger.database, ledger.clock).handle(batch(*RECORDS))
