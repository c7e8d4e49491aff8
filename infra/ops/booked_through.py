"""Up to which instant everything that was accepted is in the ledger, over all organizations."""

from datetime import datetime, timedelta
from typing import Final

from contracts.topics import CREDITS, USAGE
from infra.clock import Clock
from infra.kafka.log import LogReader
from infra.ops.examine import CREDITS_CONSUMER
from infra.postgres import ledger_reads
from infra.postgres.database import Database

MARGIN: Final = timedelta(seconds=6)
"""An event is stamped before the broker has it: the producer's deadline, the age that offsets may have, and some."""


async def booked_through(database: Database, log_reader: LogReader, clock: Clock) -> datetime | None:
    """The instant; None while nothing is known of a partition that has records.

    What the sweeper does at an instant (a grant ends) waits for it: usage that was accepted before and is still on
    its way to the ledger is booked first. Raises: BrokerUnavailable, DatabaseUnavailable.
    """
    through = clock.now() - MARGIN
    behind = await log_reader.lag(CREDITS_CONSUMER, (USAGE, CREDITS))
    async with database.transaction() as tx:
        read = await ledger_reads.progress(tx)
    for place, records in behind.items():
        if records <= 0:
            continue
        if place not in read:
            return None
        through = min(through, read[place].accepted_at - MARGIN)
    return through
