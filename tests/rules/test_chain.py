"""The hash chain: any change of any row shows."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from contracts.rules.chain import ChainRow, Posting, broken_link, first_hash, next_hash

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def row(seq: int) -> ChainRow:
    postings = (Posting("wallet", UUID(int=9), -5), Posting("revenue", None, 5))
    return ChainRow(
        UUID(int=seq), seq, "charge", 5, "urn:test", f"e{seq}", NOON, NOON, NOON, 1, "{}", 10, 0, None, postings
    )


def chained(rows: list[ChainRow]) -> list[tuple[ChainRow, bytes]]:
    before, found = first_hash("org_1"), []
    for one in rows:
        before = next_hash(before, one)
        found.append((one, before))
    return found


ROWS = chained([row(seq) for seq in (1, 2, 3)])


def test_an_untouched_chain_fits() -> None:
    assert broken_link(first_hash("org_1"), 0, ROWS) is None


def test_a_chain_belongs_to_one_organization() -> None:
    assert broken_link(first_hash("org_2"), 0, ROWS) == 1


def test_a_row_that_was_taken_out_shows() -> None:
    assert broken_link(first_hash("org_1"), 0, [ROWS[0], ROWS[2]]) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"id": UUID(int=7)}, {"kind": "grant"}, {"amount_micros": 6}, {"event_source": "urn:other"}, {"event_id": "x"},
        {"event_source": None}, {"used_at": NOON.replace(hour=1)}, {"accepted_at": NOON.replace(hour=1)},
        {"booked_at": NOON.replace(hour=1)}, {"price_version": None}, {"detail": "[]"}, {"available_after_micros": 1},
        {"debt_after_micros": 1}, {"reverses": UUID(int=1)}, {"postings": ROWS[0][0].postings[::-1]},
        {"postings": (Posting("wallet", None, -5), Posting("revenue", None, 5))},
    ],
)  # fmt: skip
def test_any_changed_field_shows(change: dict[str, Any]) -> None:
    changed = [ROWS[0], (ROWS[1][0]._replace(**change), ROWS[1][1]), ROWS[2]]
    assert broken_link(first_hash("org_1"), 0, changed) == 2
