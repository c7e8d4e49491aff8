"""Browses dead letters and carries out what a person decides about them."""

import base64
from typing import Any
from uuid import UUID

from api.core.paging import Page, Pagination
from api.core.principal import Principal
from api.deadletters.schemas import DeadLetterFull, DeadLetterOut, Decided
from api.deps import Deps
from contracts.errors import Conflict, NotFound
from infra.postgres import trails
from infra.postgres.trails import DeadLetter, Filter
from producers import replay

ANY_ORGANIZATION = "system:any_organization"


async def list_letters(
    deps: Deps, who: Principal, wanted: Filter, page: Page
) -> tuple[list[DeadLetterOut], Pagination]:
    """A page of dead letters, the newest first: the organization's own, or all for a key that may see them."""
    if not who.may(ANY_ORGANIZATION):
        wanted = wanted._replace(organization=who.organization_id)
    after = None if page.after is None else UUID(hex=page.after[0])
    async with deps.database.transaction() as tx:
        rows = await trails.list_dead_letters(tx, wanted, after=after, limit=page.fetch)
    shown, pagination = page.cut(rows, lambda row: (row.id.hex,))
    return [DeadLetterOut(**_fields(row)) for row in shown], pagination


async def letter(deps: Deps, who: Principal, letter_id: str) -> DeadLetterFull:
    """One dead letter with its record. Raises: NotFound."""
    row = await _find(deps, who, letter_id)
    value = row.value
    return DeadLetterFull(
        **_fields(row),
        value=None if value is None else value.decode("utf-8", "replace"),
        value_base64=None if value is None else base64.b64encode(value).decode(),
        headers={name: text.decode("utf-8", "replace") for name, text in row.headers},
    )


async def redrive(deps: Deps, who: Principal, letter_id: str) -> Decided:
    """Publishes the record into its topic again. Raises: NotFound, Conflict when it was dropped, Unavailable."""
    row = await _find(deps, who, letter_id)
    went = await replay.redrive(deps.database, deps.producer, [row.id], by=who.id, now=deps.clock.now())
    if not went:
        raise Conflict("This dead letter was dropped; it stays on record and is not re-driven.")
    return Decided(id=letter_id, state="redriven")


async def drop(deps: Deps, who: Principal, letter_id: str) -> Decided:
    """Gives the record up, on record. Raises: NotFound, Conflict when it was decided before."""
    row = await _find(deps, who, letter_id)
    went = await replay.drop(deps.database, [row.id], by=who.id, now=deps.clock.now())
    if not went and row.state != "dropped":
        raise Conflict(f"This dead letter is {row.state} already.")
    return Decided(id=letter_id, state="dropped")


async def _find(deps: Deps, who: Principal, letter_id: str) -> DeadLetter:
    """The letter, if this key may see it: another organization's looks like none."""
    rows: list[DeadLetter] = []
    uuid = _uuid(letter_id)
    if uuid is not None:
        async with deps.database.transaction() as tx:
            rows = await trails.dead_letters_of(tx, [uuid])
    if not rows or not (who.may(ANY_ORGANIZATION) or rows[0].organization == who.organization_id):
        raise NotFound("There is no such dead letter.")
    return rows[0]


def _uuid(letter_id: str) -> UUID | None:
    try:
        return UUID(hex=letter_id.removeprefix("dl_"))
    except ValueError:
        return None


def _fields(row: DeadLetter) -> dict[str, Any]:
    names = DeadLetterOut.model_fields.keys() - {"id"}
    return {"id": f"dl_{row.id.hex}", **{name: getattr(row, name) for name in names}}
