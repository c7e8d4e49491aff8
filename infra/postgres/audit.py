"""The audit trail in PostgreSQL: append-only, one chain an organization."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import orjson
from sqlalchemy import RowMapping, select, text

from contracts.rules.trail import FIRST, Entry, Link
from infra.postgres.database import Tx, raw
from infra.postgres.tables.trails import audit_heads, audit_trail

Identity = tuple[str, str, str]
"""Organization, source, id."""


class Head(NamedTuple):
    """Where an organization's chain ends: number and hash of its last link, 0 and zeros before the first."""

    seq: int
    hash: bytes


async def lock_heads(tx: Tx, organizations: Collection[str]) -> dict[str, Head]:
    """The ends of the chains, locked until the transaction ends: rows are made first, locked in key order."""
    names = sorted(organizations)
    connection = await raw(tx)
    await connection.execute(
        "INSERT INTO audit_heads SELECT name, 0, $2 FROM unnest($1::text[]) AS name ORDER BY name "
        "ON CONFLICT DO NOTHING",
        names,
        FIRST,
    )
    rows = await connection.fetch(
        "SELECT organization_id, seq, hash FROM audit_heads WHERE organization_id = ANY($1) "
        "ORDER BY organization_id FOR UPDATE",
        names,
    )
    return {organization: Head(seq, chained) for organization, seq, chained in rows}


async def known_bodies(tx: Tx, identities: Sequence[Identity]) -> dict[Identity, bytes]:
    """The body hashes of those that the trail has."""
    rows = await (await raw(tx)).fetch(
        """
        SELECT organization_id, event_source, event_id, body_hash
        FROM audit_trail
        JOIN unnest($1::text[], $2::text[], $3::text[]) AS asked (organization_id, event_source, event_id)
            USING (organization_id, event_source, event_id)
        """,
        *(list(column) for column in zip(*identities, strict=True)),
    )
    return {(organization, source, event): body for organization, source, event, body in rows}


async def append(tx: Tx, links: Sequence[Link]) -> None:
    """Writes the links; their heads must be locked."""
    await (await raw(tx)).copy_records_to_table(
        "audit_trail",
        columns=("seq", *(_COLUMNS.get(field, field) for field in Entry._fields), "hash"),
        records=[(seq, *entry[:-1], orjson.dumps(entry.data).decode(), chained) for seq, entry, chained in links],
    )


async def move_heads(tx: Tx, heads: dict[str, Head]) -> None:
    """Where the chains end now."""
    await (await raw(tx)).execute(
        """
        UPDATE audit_heads AS h SET seq = n.seq, hash = n.hash
        FROM unnest($1::text[], $2::bigint[], $3::bytea[]) AS n (organization_id, seq, hash)
        WHERE h.organization_id = n.organization_id
        """,
        list(heads),
        [head.seq for head in heads.values()],
        [head.hash for head in heads.values()],
    )


async def head(tx: Tx, organization: str) -> Head:
    """Where the organization's chain is said to end."""
    query = select(audit_heads.c.seq, audit_heads.c.hash).where(audit_heads.c.organization_id == organization)
    found = (await tx.execute(query)).one_or_none()
    return Head(found.seq, found.hash) if found else Head(0, FIRST)


async def links(tx: Tx, organization: str, *, after: int = 0, limit: int = 1_000) -> list[Link]:
    """The organization's links in order, from behind number `after` on."""
    query = (
        select(audit_trail)
        .where(audit_trail.c.organization_id == organization, audit_trail.c.seq > after)
        .order_by(audit_trail.c.seq)
        .limit(limit)
    )
    return [_link(row) for row in (await tx.execute(query)).mappings()]


class Filter(NamedTuple):
    """Which links are wanted; None: any. `event_type` may end with `*`; times are of acceptance, `until` excluded."""

    event_type: str | None = None
    actor: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def newest(tx: Tx, organization: str, wanted: Filter, *, before: int | None, limit: int) -> list[Link]:
    """The organization's links that fit, the newest first, from before number `before` on."""
    query = select(audit_trail).where(audit_trail.c.organization_id == organization)
    if before is not None:
        query = query.where(audit_trail.c.seq < before)
    if wanted.event_type is not None:
        prefix = wanted.event_type.removesuffix("*")
        exact = audit_trail.c.event_type == wanted.event_type
        query = query.where(
            audit_trail.c.event_type.startswith(prefix, autoescape=True) if prefix != wanted.event_type else exact
        )
    if wanted.actor is not None:
        query = query.where(audit_trail.c.actor == wanted.actor)
    if wanted.subject is not None:
        query = query.where(audit_trail.c.data["user_id"].astext == wanted.subject)
    if wanted.since is not None:
        query = query.where(audit_trail.c.accepted_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(audit_trail.c.accepted_at < wanted.until)
    rows = await tx.execute(query.order_by(audit_trail.c.seq.desc()).limit(limit))
    return [_link(row) for row in rows.mappings()]


async def uncopied(tx: Tx, limit: int) -> list[Link]:
    """Links that ClickHouse may lack, each organization's in order."""
    query = (
        select(audit_trail)
        .join(audit_heads, audit_heads.c.organization_id == audit_trail.c.organization_id)
        .where(audit_heads.c.copied_seq < audit_heads.c.seq, audit_trail.c.seq > audit_heads.c.copied_seq)
        .order_by(audit_trail.c.organization_id, audit_trail.c.seq)
        .limit(limit)
    )
    return [_link(row) for row in (await tx.execute(query)).mappings()]


async def mark_copied(tx: Tx, ends: Mapping[str, int]) -> None:
    """ClickHouse has these organizations' links up to these numbers."""
    await (await raw(tx)).execute(
        """
        UPDATE audit_heads AS h SET copied_seq = greatest(h.copied_seq, n.seq)
        FROM unnest($1::text[], $2::bigint[]) AS n (organization_id, seq) WHERE h.organization_id = n.organization_id
        """,
        list(ends),
        list(ends.values()),
    )


async def organizations(tx: Tx) -> list[str]:
    """All that have a chain, or rows without one."""
    rows = await tx.scalars(
        text(
            "SELECT organization_id FROM audit_heads UNION SELECT DISTINCT organization_id FROM audit_trail ORDER BY 1"
        )
    )
    return list(rows)


_COLUMNS = {"organization": "organization_id"}


def _link(row: RowMapping) -> Link:
    entry = Entry(*(row[_COLUMNS.get(field, field)] for field in Entry._fields))
    return Link(row["seq"], entry, row["hash"])
