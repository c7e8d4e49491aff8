"""Grants go to Kafka; balance and statement come from the ledger."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from api.core.keyring import Keyring
from api.core.paging import Page, Pagination
from api.core.principal import Principal
from api.credits.schemas import Balance, GrantIn, LotOut, ReceiptOut, TransactionOut
from api.deps import Deps
from contracts import catalog, topics
from contracts.errors import BrokerUnavailable, Invalid, PermissionDenied, Problem
from contracts.topics import Topic
from infra.ids import new_id
from infra.kafka.log import CACHE_S
from infra.postgres import ledger_reads
from infra.postgres.database import Tx
from infra.postgres.ledger_reads import Lot, Transaction

SOURCE: Final = "/credits/grants"
GROUP: Final = "aihub.credits"
MAX_LOTS: Final = 100
ANY_ORGANIZATION: Final = "system:any_organization"


async def grant(
    deps: Deps, keyring: Keyring, who: Principal, wanted: GrantIn, request_id: str, event_id: str | None
) -> ReceiptOut:
    """The receipt of the published fact; the ledger books it in a moment.

    Raises: PermissionDenied, Invalid (unknown organization), BrokerUnavailable, Overloaded.
    """
    organization = await _beneficiary(keyring, who, wanted.organization_id)
    envelope = catalog.state(
        wanted.fact(),
        event_id=event_id or new_id("evt"),
        source=SOURCE,
        organization=organization,
        now=deps.clock.now(),
        subject=who.id,
    ).model_copy(update={"requestid": request_id})
    (receipt,) = await deps.publisher.publish([envelope])
    return ReceiptOut(
        event_id=envelope.id,
        source=SOURCE,
        topic=receipt.topic,
        partition=receipt.partition,
        offset=receipt.offset,
        accepted_at=envelope.acceptedat,
    )


async def _beneficiary(keyring: Keyring, who: Principal, organization: str | None) -> str:
    if organization is None or organization == who.organization_id:
        return who.organization_id
    if not who.may(ANY_ORGANIZATION):
        problem = Problem("/organization_id", "permission_denied", f"needs the permission {ANY_ORGANIZATION}")
        raise PermissionDenied("This key may grant credits to its own organization only.", problems=(problem,))
    if not await keyring.organization_exists(organization):
        problem = Problem("/organization_id", "unknown_organization", "is not an organization")
        raise Invalid("There is no such organization.", problems=(problem,))
    return organization


async def balance(deps: Deps, organization: str) -> tuple[Balance, datetime | None]:
    """The balance and through when it is complete."""
    now, ends = deps.clock.now(), await _ends(deps, organization)
    async with deps.database.transaction() as tx:
        through = await _complete_through(tx, ends, now)
        found = await ledger_reads.balance(tx, organization, now)
    shown = Balance(
        available_micros=found.available_micros,
        held_micros=found.held_micros,
        debt_micros=found.debt_micros,
        grants=[_lot(lot) for lot in found.lots[:MAX_LOTS]],
    )
    return shown, through


async def transactions(
    deps: Deps, organization: str, page: Page
) -> tuple[list[TransactionOut], Pagination, datetime | None]:
    """A page of the statement, the newest first, and through when it is complete."""
    now, ends = deps.clock.now(), await _ends(deps, organization)
    before = None if page.after is None else int(page.after[0])
    async with deps.database.transaction() as tx:
        through = await _complete_through(tx, ends, now)
        rows = await ledger_reads.statement(tx, organization, before_seq=before, limit=page.fetch)
    shown, pagination = page.cut(rows, lambda row: (row.seq,))
    return [_transaction(row) for row in shown], pagination, through


Ends = Sequence[tuple[Topic, int, int | None]]


async def _ends(deps: Deps, organization: str) -> Ends:
    """(topic, partition, end offset) of what moves the organization's money; None: Kafka does not say."""
    found: list[tuple[Topic, int, int | None]] = []
    for topic in (topics.USAGE, topics.CREDITS):
        end: int | None = None
        try:
            end = (await deps.log_reader.end_offsets(topic)).get(deps.log_reader.partition_of(organization, topic), 0)
        except BrokerUnavailable:
            end = None
        found.append((topic, deps.log_reader.partition_of(organization, topic), end))
    return found


async def _complete_through(tx: Tx, ends: Ends, now: datetime) -> datetime | None:
    """Everything that was accepted up to this instant is in the ledger; None: nothing is known yet.

    Now (less the age that the ends may have), when the ledger has read to the ends that Kafka named before; else the
    acceptance of the last record that it has read, whichever topic is further behind.
    """
    through, read = now - timedelta(seconds=CACHE_S), await ledger_reads.progress(tx)
    for topic, partition, end in ends:
        reached = read.get((topic.name, partition))
        if end == 0 or (reached is not None and end is not None and reached.next_offset >= end):
            continue
        if reached is None:
            return None
        through = min(through, reached.accepted_at)
    return through


def _lot(lot: Lot) -> LotOut:
    same = ("source", "priority", "amount_micros", "remaining_micros", "effective_at", "expires_at", "scope", "reason")
    return LotOut(id=f"grant_{lot.id.hex}", **{name: getattr(lot, name) for name in same})


def _transaction(row: Transaction) -> TransactionOut:
    event = {"source": row.event_source, "id": row.event_id} if row.event_source and row.event_id else None
    return TransactionOut(
        id=f"txn_{row.id.hex}",
        seq=row.seq,
        kind=row.kind,
        amount_micros=row.amount_micros,
        available_after_micros=row.available_after_micros,
        debt_after_micros=abs(row.debt_after_micros),
        event=event,
        used_at=row.used_at,
        accepted_at=row.accepted_at,
        booked_at=row.booked_at,
        price_version=row.price_version,
        reverses=f"txn_{row.reverses.hex}" if row.reverses else None,
        detail=row.detail,
    )
