"""From a file's columns to usage events: guessed or given mapping, and times in three notations."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from contracts.errors import Invalid
from contracts.types import rfc3339

# What a column of a plain name means; names are compared in lower case without separators.
GUESSES: Final[dict[str, tuple[str, ...]]] = {
    "time": ("timestamp", "time", "datetime", "date", "createdat", "startedat", "arrivaltime", "arrivedat", "ts"),
    "input": ("contexttokens", "inputtokens", "prompttokens", "input", "prompt", "numprefilltokens", "requesttokens"),
    "output": ("generatedtokens", "outputtokens", "completiontokens", "output", "numdecodetokens", "responsetokens"),
    "cached_input": ("cachedinputtokens", "cachedtokens", "cachereadtokens"),
    "cache_write": ("cachewritetokens",),
    "reasoning": ("reasoningtokens",),
    "audio": ("audiotokens",),
    "image": ("imagetokens",),
    "id": ("id", "eventid"),
    "customer": ("customer", "customerid", "organization", "organizationid", "tenant", "tenantid"),
    "user": ("user", "userid"),
    "team": ("team", "teamid"),
    "model": ("model", "modelname"),
    "service": ("service",),
    "provider": ("provider",),
    "operation": ("operation",),
    "request_id": ("requestid",),
    "quantity": ("quantity",),
    "unit": ("unit",),
    "duration_ms": ("durationms", "latencyms"),
    "status": ("status",),
}

_TOKENS: Final = ("input", "cached_input", "cache_write", "output", "reasoning", "audio", "image")
_WORDS: Final = ("user", "team", "model", "service", "provider", "operation", "request_id", "unit", "status")
_DIGITS: Final = re.compile(r"(\.\d{6})\d+")


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """Which column feeds which field of a usage event."""

    columns: Mapping[str, str]

    def __getitem__(self, field: str) -> str | None:
        return self.columns.get(field)


def parse_mapping(text: str | None, columns: Sequence[str]) -> ColumnMapping:
    """The mapping that `time=COLUMN,input=COLUMN,...` gives, the rest guessed from plain header names.

    Raises: Invalid when a field or column is unknown, or neither tokens nor a quantity can be found.
    """
    plain = {re.sub(r"[^a-z0-9]", "", column.lower()): column for column in columns}
    found = {field: plain[name] for field, names in GUESSES.items() for name in reversed(names) if name in plain}
    for pair in filter(None, (text or "").split(",")):
        field, separator, column = (part.strip() for part in pair.partition("="))
        if not separator or field not in GUESSES:
            raise Invalid(f"--map {pair}: write FIELD=COLUMN with one of {', '.join(GUESSES)}")
        if column not in columns:
            raise Invalid(f"--map {pair}: the file has no column {column!r}; it has {', '.join(columns)}")
        found[field] = column
    if not any(field in found for field in (*_TOKENS, "quantity")):
        raise Invalid(f"no column for tokens found among {', '.join(columns)}: name one with --map input=COLUMN")
    return ColumnMapping(found)


def usage_of(row: Mapping[str, Any], mapping: ColumnMapping) -> dict[str, Any]:
    """The `data` of a usage event, tokens exactly as the row says. Raises: Invalid with the column's name."""
    data: dict[str, Any] = {}
    for field in _TOKENS:
        if (column := mapping[field]) is not None:
            data[f"{field}_tokens"] = _whole(row[column], column)
    for field in _WORDS:
        if (column := mapping[field]) is not None and row[column] not in (None, ""):
            data[field] = str(row[column])
    if (column := mapping["quantity"]) is not None and row[column] not in (None, ""):
        data["quantity"] = _decimal(row[column], column)
    if (column := mapping["duration_ms"]) is not None and row[column] not in (None, ""):
        data["duration_ms"] = _whole(row[column], column)
    return data


def time_of(value: Any, start: datetime) -> datetime:
    """The instant a cell names: RFC 3339, `YYYY-MM-DD HH:MM:SS.ffffff` (UTC), or milliseconds after `start`.

    More than six decimal places are cut, not rounded. Raises: Invalid.
    """
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    text = str(value).strip()
    try:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            return start + timedelta(milliseconds=float(text))
        instant = datetime.fromisoformat(_DIGITS.sub(r"\1", text.replace("Z", "+00:00")))
    except (ValueError, OverflowError):
        raise Invalid(f"{text!r} is not a time: write RFC 3339, or milliseconds from the start") from None
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


def event_of(
    row: Mapping[str, Any], mapping: ColumnMapping, *, source: str, default_id: str, start: datetime
) -> dict[str, Any]:
    """The CloudEvent of a row: id from its column, else `default_id`; time from its column, else none."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "type": "usage.recorded.v1",
        "source": source,
        "id": str(row[mapping["id"]]) if mapping["id"] else default_id,
        "data": usage_of(row, mapping),
    }
    if mapping["time"]:
        event["time"] = rfc3339(time_of(row[mapping["time"]], start))
    return event


def _whole(value: Any, column: str) -> int:
    number = Decimal(_decimal(value, column)) if value not in (None, "") else Decimal(0)
    if number != number.to_integral_value():
        raise Invalid(f"column {column}: {value!r} is not a whole number")
    return int(number)


def _decimal(value: Any, column: str) -> str:
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise Invalid(f"column {column}: {value!r} is not a number") from None
    if not number.is_finite() or number < 0:
        raise Invalid(f"column {column}: {value!r} must be a number of 0 or more")
    return str(number)
