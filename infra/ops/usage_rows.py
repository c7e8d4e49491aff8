"""Rows of a usage file: CSV, NDJSON or Parquet, read as a stream."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from contracts.errors import Invalid, Malformed

FORMATS: Final = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
}


def format_of(path: Path) -> str:
    """The file's format, by its ending. Raises: Invalid, with the endings that are known, or when it is not there."""
    if not path.is_file():
        raise Invalid(f"{path}: no such file")
    if path.suffix.lower() not in FORMATS:
        raise Invalid(f"{path.name}: unknown kind of file; use one of {', '.join(FORMATS)}")
    return FORMATS[path.suffix.lower()]


def columns(path: Path) -> list[str]:
    """The names of the file's columns. Raises: Malformed when the file is empty, Invalid when it is not there."""
    first = next(rows(path), None)
    if first is None:
        raise Malformed(f"{path.name}: has no rows")
    return list(first)


def count_rows(path: Path) -> int:
    """How many rows the file has (blank lines left out): for a progress bar, so cheap rather than exact for CSV."""
    if format_of(path) == "parquet":
        from pyarrow import parquet

        return int(parquet.ParquetFile(path).metadata.num_rows)
    with path.open("rb") as file:
        lines = sum(1 for line in file if line.strip())
    return lines if format_of(path) == "ndjson" else max(0, lines - 1)


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Every row as column -> value, in file order. Raises: Invalid, Malformed with the line's number."""
    match format_of(path):
        case "parquet":
            yield from _parquet(path)
        case "ndjson":
            yield from _ndjson(path)
        case kind:
            yield from _csv(path, "\t" if kind == "tsv" else ",")


def _csv(path: Path, delimiter: str) -> Iterator[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, delimiter=delimiter)
        try:
            for row in reader:
                if None in row or None in row.values():
                    raise Malformed(f"{path.name}: line {reader.line_num} has another number of columns")
                yield row
        except (UnicodeDecodeError, csv.Error) as error:
            raise Malformed(f"{path.name}: line {reader.line_num}: {error}") from None


def _ndjson(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise Malformed(f"{path.name}: line {number} is not JSON: {error}") from None
            if not isinstance(row, dict):
                raise Malformed(f"{path.name}: line {number} is not a JSON object")
            yield row


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    from pyarrow import ArrowInvalid, parquet

    try:
        file = parquet.ParquetFile(path)
    except ArrowInvalid as error:
        raise Malformed(f"{path.name}: not a Parquet file: {error}") from None
    for batch in file.iter_batches(batch_size=4096):
        yield from batch.to_pylist()
