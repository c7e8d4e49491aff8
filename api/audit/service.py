"""Reads and proves the organization's audit trail."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from api.audit.schemas import AllVerdicts, AuditEvent, HeadIn, HeadOut, VerdictOut
from api.core.paging import Page, Pagination
from api.core.persons import PersonSealer, opened, person_sealers
from api.core.principal import Principal
from api.deps import Deps
from contracts.rules.trail import Link
from infra.ops import trail_proof
from infra.postgres import audit
from infra.postgres.audit import Filter, Head
from infra.postgres.database import Tx


async def list_events(deps: Deps, who: Principal, wanted: Filter, page: Page) -> tuple[list[AuditEvent], Pagination]:
    """The organization's events that fit, the newest first, addresses opened."""
    before = None if page.after is None else int(page.after[0])
    async with deps.database.transaction() as tx:
        links = await audit.newest(tx, who.organization_id, wanted, before=before, limit=page.fetch)
    shown, pagination = page.cut(links, lambda link: (link.seq,))
    return await _shown(deps, shown), pagination


async def head(deps: Deps, who: Principal) -> HeadOut:
    """Where the organization's chain ends now."""
    async with deps.database.transaction() as tx:
        found = await audit.head(tx, who.organization_id)
    return _head(who.organization_id, found)


async def prove(deps: Deps, who: Principal, noted: HeadIn | None) -> VerdictOut:
    """The verdict on the organization's whole trail."""
    head = None if noted is None else Head(noted.seq, bytes.fromhex(noted.hash))
    verdict = await trail_proof.verify(deps.database, who.organization_id, clickhouse=deps.clickhouse, noted=head)
    return VerdictOut(
        intact=verdict.broken_at is None,
        events=verdict.rows,
        broken_at=verdict.broken_at,
        witnessed=verdict.witnessed,
        head=_head(who.organization_id, verdict.end),
    )


async def prove_all(deps: Deps) -> AllVerdicts:
    """The verdict on the trails of all organizations."""
    return AllVerdicts(**trail_proof.summary(await trail_proof.verify_all(deps.database, deps.clickhouse)))


async def export(deps: Deps, who: Principal) -> AsyncIterator[bytes]:
    """The whole trail as NDJSON, oldest first, 1,000 events at a time."""
    after = 0
    while True:
        async with deps.database.transaction() as tx:
            links = await audit.links(tx, who.organization_id, after=after)
        if not links:
            return
        after = links[-1].seq
        yield b"".join(event.model_dump_json().encode() + b"\n" for event in await _shown(deps, links))


async def _shown(deps: Deps, links: Sequence[Link]) -> list[AuditEvent]:
    people = {person for link in links if (person := _person(link)) is not None}
    async with deps.database.unscoped() as tx:  # a person's key is nobody's but theirs
        sealers = await _sealers(tx, deps, people)
    return [_event(link, sealers) for link in links]


async def _sealers(tx: Tx, deps: Deps, people: set[str]) -> dict[str, PersonSealer]:
    return dict(await person_sealers(tx, deps.sealer, people)) if people else {}


def _person(link: Link) -> str | None:
    """Whose address it is: who acted, or else whom it is about."""
    candidates = (link.entry.actor, link.entry.data.get("user_id"))
    return next((one for one in candidates if isinstance(one, str) and one.startswith("user_")), None)


def _event(link: Link, sealers: dict[str, PersonSealer]) -> AuditEvent:
    entry, person = link.entry, _person(link)
    address = entry.address if entry.address is None else opened(sealers, person or "", entry.address)
    data: dict[str, Any] = json.loads(json.dumps(entry.data))
    data.pop("address", None)
    return AuditEvent(
        seq=link.seq,
        type=entry.event_type,
        source=entry.event_source,
        id=entry.event_id,
        actor=entry.actor,
        address=address,
        occurred_at=entry.occurred_at,
        accepted_at=entry.accepted_at,
        request_id=entry.request_id,
        data=data,
        hash=link.hash.hex(),
    )


def _head(organization_id: str, found: Head) -> HeadOut:
    return HeadOut(organization_id=organization_id, seq=found.seq, hash=found.hash.hex())
