"""Bulk import of usage: resumable, with the same identity law as every event."""

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from contracts.errors import Invalid
from infra.http.hub_client import HubClient
from infra.ops import usage_rows
from infra.ops.usage_mapping import ColumnMapping, event_of, parse_mapping

BATCH: Final = 500
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class ImportResult:
    """Counts of rows; `rejections` are the first 20, each with its row number (from 1) and problem."""

    file: str
    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    resumed_at: int = 0
    rejections: list[dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """One import: rows without an id column get `row-N`, and the source names the file's content.

    That makes the identity of a row the same in every run, so an import may be broken off and run again anywhere.
    """

    path: Path
    mapping: ColumnMapping
    source: str
    service: str
    start: datetime
    state: Path

    @classmethod
    def of(
        cls, path: Path, *, map_text: str | None, service: str, start: datetime = EPOCH, source: str | None = None
    ) -> "ImportPlan":
        """The plan for a file. Raises: Invalid, Malformed."""
        mapping = parse_mapping(map_text, usage_rows.columns(path))
        digest = _digest(path)
        return cls(
            path, mapping, source or f"/import/{digest[:16]}", service, start, path.with_name(f".{path.name}.aihub")
        )


async def run_import(client: HubClient, plan: ImportPlan, on_rows: Callable[[int], None]) -> ImportResult:
    """Sends every row that no earlier run had acknowledged; `on_rows(n)` tells of n more.

    Progress is kept beside the file after each acknowledged batch and removed at the end.
    Raises: Invalid, Malformed, HubRefused, Unavailable.
    """
    result = ImportResult(plan.path.name, resumed_at=_resume(plan), rejections=[])
    on_rows(result.resumed_at)
    result.rows = result.resumed_at
    for batch in _batches(_events(plan), result.resumed_at):
        sent = await client.send(batch)
        result.accepted += sent.count("accepted")
        result.duplicates += sent.count("duplicate")
        result.rejected += sent.count("rejected")
        _note_rejections(result, sent.results)
        result.rows += len(batch)
        _remember(plan, result.rows)
        on_rows(len(batch))
    plan.state.unlink(missing_ok=True)
    return result


def _events(plan: ImportPlan) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(usage_rows.rows(plan.path), 1):
        try:
            event = event_of(row, plan.mapping, source=plan.source, default_id=f"row-{number}", start=plan.start)
        except Invalid as error:
            raise Invalid(f"{plan.path.name}: row {number}: {error.message}") from None
        event["data"].setdefault("service", plan.service)
        yield event


def _batches(events: Iterator[dict[str, Any]], skip: int) -> Iterator[list[dict[str, Any]]]:
    remaining = itertools.islice(events, skip, None)
    while batch := list(itertools.islice(remaining, BATCH)):
        yield batch


def _note_rejections(result: ImportResult, results: list[dict[str, Any]]) -> None:
    assert result.rejections is not None
    for index, answer in enumerate(results):
        if answer["status"] == "rejected" and len(result.rejections) < 20:
            result.rejections.append({"row": result.rows + index + 1, "problems": answer.get("problems")})


def _digest(path: Path) -> str:
    if not path.is_file():
        raise Invalid(f"{path}: no such file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _resume(plan: ImportPlan) -> int:
    try:
        state = orjson.loads(plan.state.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return 0
    return int(state["rows"]) if state.get("source") == plan.source else 0


def _remember(plan: ImportPlan, rows: int) -> None:
    draft = plan.state.with_suffix(".tmp")
    draft.write_bytes(orjson.dumps({"source": plan.source, "rows": rows}))
    os.replace(draft, plan.state)
