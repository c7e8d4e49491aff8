"""The verdict: the client's own record against ledger, analytics, webhooks, dead letters and trail."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import asyncpg

from consumers.webhooks.app import GROUP as WEBHOOKS
from contracts import topics
from contracts.errors import Unavailable
from contracts.topics import Topic
from infra.app.compose import Hub
from infra.app.reach import direct_hub
from infra.ops.reconcile import reconcile
from tests.faults.client import Identity, Record
from tests.faults.receiver import Receiver
from tests.faults.world import POSTGRES_AWAY, Installation

SHOWN: Final = 12
CREDITS: Final = "aihub.credits"
READERS: Final[dict[str, tuple[Topic, ...]]] = {
    CREDITS: (topics.USAGE, topics.CREDITS),
    "aihub.analytics": (topics.USAGE, topics.LEDGER),
    WEBHOOKS: (topics.USAGE, topics.LEDGER),
    "aihub.audit": (topics.AUTH,),
    "aihub.deadletters": (topics.DEAD_LETTERS,),
}
PARKED: Final = ("identity_conflict", "unreadable_record", "invalid_record")
"""Reasons that the load and the poison give; an outage must be none."""

_CHARGES = (
    "SELECT organization_id, event_id, count(*) AS n FROM ledger_transactions WHERE event_source = $1 GROUP BY 1, 2"
)
_INBOX = "SELECT organization_id, event_id, input_tokens, output_tokens FROM inbox WHERE source = $1"
_USAGE = """SELECT organization_id, event_id, toInt64(count()) AS n, toInt64(sum(input_tokens)) AS input,
            toInt64(sum(output_tokens)) AS output FROM usage WHERE source = {source:String} GROUP BY 1, 2"""
_CHARGED = (
    "SELECT organization_id, event_id, toInt64(count()) AS n FROM charges WHERE source = {source:String} GROUP BY 1, 2"
)
_WAITING = """SELECT (SELECT count(*) FROM outbox) +
              (SELECT count(*) FROM webhook_deliveries WHERE state = 'pending')"""


@dataclass
class Verdict:
    """`lost` and `doubled` name what and where; `wrong` is everything else that should not be."""

    accepted: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    clean: bool = False
    differences: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return self.clean and not (self.lost or self.doubled or self.wrong)

    def lines(self) -> list[str]:
        """What is wrong, for people; a few of each kind."""
        found = []
        for kind in ("lost", "doubled", "wrong", "differences"):
            values: list[str] = getattr(self, kind)
            found += [f"{kind}: {value}" for value in values[:SHOWN]]
            found += [f"{kind}: ... and {len(values) - SHOWN} more"] if len(values) > SHOWN else []
        return found

    def compare(self, store: str, wanted: Iterable[Identity], found: dict[Identity, int]) -> None:
        """Each wanted identity once, and no other."""
        expected = set(wanted)
        self.lost += [f"{store} lacks {' '.join(one)}" for one in sorted(expected - found.keys())]
        self.doubled += [f"{store} has {' '.join(one)} {n} times" for one, n in sorted(found.items()) if n > 1]
        self.wrong += [f"{store} has {' '.join(one)}, never accepted" for one in sorted(found.keys() - expected)]


async def judge(
    hub: Installation, record: Record, receiver: Receiver, within_s: float, poison: Iterable[tuple[str, int, int]] = ()
) -> Verdict:
    """Waits until nothing moves any more, then compares everything with everything."""
    verdict = Verdict(accepted=len(record.accepted))
    async with direct_hub(hub.settings) as direct:
        await _converge(hub, direct, within_s, verdict)
        connection = await asyncpg.connect(hub.dsn)
        try:
            await _ledger(connection, record, verdict)
            await _trails(connection, record, set(poison), verdict)
        finally:
            await connection.close()
        await _analytics(direct, record, verdict)
        _webhooks(record, receiver, verdict)
        books = await reconcile(direct.reconcile_deps())
    verdict.clean = books.clean and not books.pending
    verdict.differences = [*books.lines(), *([f"{books.pending} records pending"] if books.pending else [])]
    verdict.wrong += hub.crashes
    return verdict


async def _converge(hub: Installation, direct: Hub, within_s: float, verdict: Verdict) -> None:
    """Bounded: every group at the end of its topics, outbox empty, no delivery due, twice in a row."""
    deadline, quiet, last = time.monotonic() + within_s, 0, "not asked"
    while quiet < 2:
        if time.monotonic() > deadline:
            verdict.wrong.append(f"not converged within {within_s:g} s: {last}")
            return
        try:
            behind = {
                group: sum((await direct.log_reader.lag(group, read)).values()) for group, read in READERS.items()
            }
            async with asyncio.timeout(5):
                connection = await asyncpg.connect(hub.dsn)
                waiting = await connection.fetchval(_WAITING)
                await connection.close()
        except (Unavailable, *POSTGRES_AWAY) as error:
            quiet, last = 0, repr(error)
        else:
            last = f"lag {behind}, outbox and deliveries {waiting}"
            quiet = quiet + 1 if not waiting and not any(behind.values()) else 0
        await asyncio.sleep(0.3)


async def _ledger(connection: asyncpg.Connection, record: Record, verdict: Verdict) -> None:
    rows = await connection.fetch(_CHARGES, record.source)
    verdict.compare("the ledger", record.accepted, {(row[0], row[1]): row[2] for row in rows})
    for row in await connection.fetch(_INBOX, record.source):
        if record.tokens.get((row[0], row[1])) != (row[2], row[3]):
            verdict.wrong.append(f"the ledger has other tokens of {row[0]} {row[1]}: {row[2]}, {row[3]}")


async def _analytics(direct: Hub, record: Record, verdict: Verdict) -> None:
    rows = await direct.clickhouse.query(_USAGE, {"source": record.source})
    found = {(row["organization_id"], row["event_id"]): row for row in rows}
    verdict.compare("analytics", record.accepted, {one: row["n"] for one, row in found.items()})
    for one, row in found.items():
        if row["n"] == 1 and record.tokens.get(one) != (row["input"], row["output"]):
            verdict.wrong.append(f"analytics has other tokens of {' '.join(one)}: {row['input']}, {row['output']}")
    rows = await direct.clickhouse.query(_CHARGED, {"source": record.source})
    charged = {(row["organization_id"], row["event_id"]): row["n"] for row in rows}
    verdict.compare("analytics' charges", record.accepted, charged)


def _webhooks(record: Record, receiver: Receiver, verdict: Verdict) -> None:
    verdict.compare("the receiver", record.accepted, {one: len(ids) for one, ids in receiver.ids.items()})


async def _trails(
    connection: asyncpg.Connection, record: Record, poison: set[tuple[str, int, int]], verdict: Verdict
) -> None:
    """Every conflict and every poisonous record is parked once, every log-in is in the trail once."""
    rows = await connection.fetch("SELECT consumer, topic, partition_no, offset_no, reason FROM dead_letters")
    parked = Counter((row[0], (row[1], row[2], row[3])) for row in rows)
    verdict.wrong += [f"{row[0]} parked {row[1]}/{row[2]}/{row[3]}: {row[4]}" for row in rows if row[4] not in PARKED]
    wanted = {(place.topic, place.partition, place.offset) for place in record.conflicts} | poison
    verdict.lost += [f"dead letter of {place} is missing" for place in sorted(wanted) if not parked[CREDITS, place]]
    trail = await connection.fetch(
        "SELECT organization_id, event_id, count(*) FROM audit_trail WHERE event_source = $1 GROUP BY 1, 2",
        record.source,
    )
    verdict.compare("the trail", record.logins, {(row[0], row[1]): row[2] for row in trail})
