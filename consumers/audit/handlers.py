"""Auth events from Kafka to the audit trail: each identity once, each organization's rows in one hash chain."""

from collections.abc import Sequence

from consumers.batch import Batch, Record
from contracts.envelope import body_hash
from contracts.errors import IdentityConflict
from contracts.events.auth import AuthFact
from contracts.rules import trail
from contracts.rules.trail import Entry, Link
from infra.postgres import audit
from infra.postgres.audit import Head, Identity
from infra.postgres.database import Database


class Append:
    """Handles batches for `consumers.runtime`: the same batch again, or a replay, appends nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, batch: Batch[Record]) -> None:
        """One transaction a batch, committed before it returns; parks an identity that came with another body."""
        entries = [entry_of(record) for record in batch.records]
        async with self._database.transaction() as tx:
            heads = await audit.lock_heads(tx, {entry.organization for entry in entries})
            known = await audit.known_bodies(tx, [_identity(entry) for entry in entries])
            new = _news(batch, entries, known)
            if new:
                links, heads = chained(new, heads)
                await audit.append(tx, links)
                await audit.move_heads(tx, heads)


def entry_of(record: Record) -> Entry:
    """The fact as the trail keeps it."""
    envelope, fact = record.envelope, record.data
    return Entry(
        organization=envelope.organization,
        event_source=envelope.source,
        event_id=envelope.id,
        event_type=envelope.type,
        body_hash=body_hash(envelope.type, envelope.subject, envelope.data),
        subject=envelope.subject,
        actor=fact.actor if isinstance(fact, AuthFact) else None,
        address=fact.address if isinstance(fact, AuthFact) else None,
        occurred_at=envelope.time,
        accepted_at=envelope.acceptedat,
        request_id=envelope.requestid,
        data=envelope.data,
    )


def chained(entries: Sequence[Entry], heads: dict[str, Head]) -> tuple[list[Link], dict[str, Head]]:
    """The entries as links behind the heads, and where the chains end then."""
    links: list[Link] = []
    ends: dict[str, Head] = {}
    for entry in entries:
        seq, previous = ends.get(entry.organization) or heads[entry.organization]
        links.append(trail.link(previous, seq + 1, entry))
        ends[entry.organization] = Head(seq + 1, links[-1].hash)
    return links, ends


def _news(batch: Batch[Record], entries: Sequence[Entry], known: dict[Identity, bytes]) -> list[Entry]:
    """The entries that the trail lacks, the first of each identity; others with another body are parked."""
    new: list[Entry] = []
    bodies = dict(known)
    for record, entry in zip(batch.records, entries, strict=True):
        identity = _identity(entry)
        if identity not in bodies:
            bodies[identity] = entry.body_hash
            new.append(entry)
        elif bodies[identity] != entry.body_hash:
            batch.park(record, IdentityConflict("An event with this id and another body is in the trail already."))
    return new


def _identity(entry: Entry) -> Identity:
    return (entry.organization, entry.event_source, entry.event_id)
