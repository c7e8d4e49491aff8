"""Usage files: any of three formats, guessed or given columns, three notations of time."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from contracts.catalog import check
from contracts.errors import InputError, Invalid, Malformed
from infra.ops import usage_rows
from infra.ops.usage_mapping import event_of, parse_mapping, time_of, usage_of

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ROWS = [{"time": "2026-11-23 10:00:00", "prompt": "3", "completion_tokens": "4"}, {"time": "", "prompt": "5"}]


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    path = tmp_path / "usage.csv"
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n\n5,1,2\n")
    return path


def test_a_csv_file_is_read_row_by_row(csv_file: Path) -> None:
    first, second = usage_rows.rows(csv_file)
    assert first == {"TIMESTAMP": "2023-11-16 18:15:46.6805900", "ContextTokens": "374", "GeneratedTokens": "44"}
    assert second["ContextTokens"] == "1"
    assert usage_rows.count_rows(csv_file) == 2
    assert usage_rows.columns(csv_file) == ["TIMESTAMP", "ContextTokens", "GeneratedTokens"]


def test_ndjson_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    rows = [{"model": "gpt-4o", "input_tokens": n} for n in range(3)]
    lines = tmp_path / "usage.ndjson"
    lines.write_text("\n".join(str(row).replace("'", '"') for row in rows) + "\n\n")
    table = tmp_path / "usage.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), table)
    assert list(usage_rows.rows(lines)) == list(usage_rows.rows(table)) == rows
    assert usage_rows.count_rows(lines) == usage_rows.count_rows(table) == 3


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"", "no rows"),
        ("a.csv", b"x,y\n", "no rows"),
        ("a.csv", b"x,y\n1\n", "line 2"),
        ("a.csv", b"x,y\n1,2,3\n", "line 2"),
        ("a.csv", b"x,y\n\xff,2\n", "line"),
        ("a.ndjson", b'{"x":1}\n{\n', "line 2"),
        ("a.ndjson", b'{"x":1}\n[]\n', "line 2"),
        ("a.parquet", b"not parquet at all", "Parquet"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Malformed, match=says):
        usage_rows.columns(tmp_path / name)
        list(usage_rows.rows(tmp_path / name))


def test_a_missing_file_and_an_unknown_ending_are_said(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no such file"):
        list(usage_rows.rows(tmp_path / "none.csv"))
    (tmp_path / "usage.xlsx").write_bytes(b"PK")
    with pytest.raises(Invalid, match=r"\.parquet"):
        usage_rows.format_of(tmp_path / "usage.xlsx")


def test_plain_header_names_are_guessed() -> None:
    mapping = parse_mapping(None, ["TIMESTAMP", "ContextTokens", "GeneratedTokens"])
    assert mapping.columns == {"time": "TIMESTAMP", "input": "ContextTokens", "output": "GeneratedTokens"}


def test_a_given_column_beats_the_guess() -> None:
    mapping = parse_mapping("input=weird,time=when", ["input", "weird", "when"])
    assert (mapping["input"], mapping["time"], mapping["output"]) == ("weird", "when", None)


@pytest.mark.parametrize("text", ["input", "input=none", "imagined=a", "=a"])
def test_a_mapping_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="--map"):
        parse_mapping(text, ["a", "b"])


def test_a_file_without_tokens_or_quantity_is_refused() -> None:
    with pytest.raises(Invalid, match="--map input=COLUMN"):
        parse_mapping(None, ["alpha", "beta"])


@pytest.mark.parametrize(
    ("cell", "instant"),
    [
        ("2023-11-16 18:15:46.6805900", datetime(2023, 11, 16, 18, 15, 46, 680590, tzinfo=UTC)),
        ("2023-11-16T18:15:46Z", datetime(2023, 11, 16, 18, 15, 46, tzinfo=UTC)),
        ("2023-11-16T20:15:46.5+02:00", datetime(2023, 11, 16, 18, 15, 46, 500000, tzinfo=UTC)),
        ("1500", datetime(2026, 11, 23, 12, 0, 1, 500000, tzinfo=UTC)),
        ("0.5", datetime(2026, 11, 23, 12, 0, 0, 500, tzinfo=UTC)),
        (datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_three_notations_of_time_are_read(cell: object, instant: datetime) -> None:
    assert time_of(cell, START) == instant


@pytest.mark.parametrize("cell", ["", "yesterday", "2026-13-01 00:00:00", "9" * 30])
def test_what_is_no_time_is_refused(cell: str) -> None:
    with pytest.raises(Invalid, match="not a time"):
        time_of(cell, START)


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_tokens_come_out_exactly_as_they_went_in(tokens_in: int, tokens_out: int) -> None:
    mapping = parse_mapping(None, ["input", "output"])
    data = usage_of({"input": str(tokens_in), "output": tokens_out}, mapping)
    assert data == {"input_tokens": tokens_in, "output_tokens": tokens_out}
    check("usage.recorded.v1", {"service": "chat", **data})


@pytest.mark.parametrize("cell", ["1.5", "-1", "abc", "NaN", "inf"])
def test_what_is_no_count_is_refused_with_its_column(cell: str) -> None:
    with pytest.raises(Invalid, match="column input"):
        usage_of({"input": cell}, parse_mapping(None, ["input"]))


def test_every_field_that_can_be_mapped_makes_a_valid_event() -> None:
    row = {
        "id": "a-1",
        "user": "u",
        "team": "t",
        "model": "m",
        "service": "chat",
        "provider": "p",
        "operation": "o",
        "request_id": "r",
        "quantity": "1.5",
        "unit": "image",
        "duration_ms": "20",
        "status": "failed",
        "reasoning_tokens": "3",
        "time": "2026-11-23T11:00:00Z",
    }
    event = event_of(row, parse_mapping(None, list(row)), source="/x", default_id="row-1", start=START)
    assert (event["id"], event["time"]) == ("a-1", "2026-11-23T11:00:00.000000Z")
    usage = check(event["type"], event["data"]).model_dump(exclude_defaults=True)
    assert usage["status"] == "failed"
    assert str(usage["quantity"]) == "1.5"
    assert usage["reasoning_tokens"] == 3


def test_a_row_without_an_id_is_named_by_its_number() -> None:
    event = event_of({"input": 1}, parse_mapping(None, ["input"]), source="/x", default_id="row-7", start=START)
    assert event["id"] == "row-7"
    assert "time" not in event


def test_input_errors_are_the_callers(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        usage_rows.columns(tmp_path / "none.csv")
