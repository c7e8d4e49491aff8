"""Usage records as the ingress writes them, a batch at a time: Arrow parses them into columns, with no object a record.

`read` vouches for every record of a batch or for none: what it gives is what `contracts.catalog.decode` finds, value
for value (tests/consumers/analytics/test_plain.py). It takes less than the contract allows: text without escapes,
no nulls, times as `contracts.types.rfc3339` writes them, from 1970 to 2199, free properties of the keys and types
that it is told. For all else there is `decode`, which also knows what is wrong. 2 us a record, the GIL left free.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, get_args

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json
from pydantic import TypeAdapter, ValidationError

from contracts.envelope import Envelope
from contracts.events.usage import MAX_PROPERTY_BYTES, TOKEN_CLASSES, UsageRecordedV1
from contracts.types import Quantity

Free = tuple[tuple[str, str], ...]
"""Free properties that a batch may have: key and type, a key of FREE_TYPES."""

FREE_TYPES: Final = {"str": pa.string(), "int": pa.int64(), "bool": pa.bool_()}
TIMES: Final = ("time", "acceptedat")
TEXTS: Final = ("service", "provider", "model", "operation", "user", "team", "api_key", "request_id")
NUMBERS: Final = (*TOKEN_CLASSES, "duration_ms")
CHOICES: Final = ("unit", "status")
MANY: Final = 2_000
BLOCKS: Final = 4
"""From MANY records on, Arrow parses so many blocks of them at once."""
MAX_NUMBER: Final = 10**12
MAX_TEXT: Final = 255

_ATTRIBUTES: Final = tuple(name for name in Envelope.model_fields if name != "data")
_NEEDED: Final = ("id", "source", "type", "organization", *TIMES)
_ONLY: Final = {"specversion": ["1.0"], "type": [UsageRecordedV1.TYPE]}
_TIME: Final = (
    r"^(19[7-9]|20\d|21\d)\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{6})?Z$"
)
_INSTANT: Final = pa.timestamp("us", "UTC")
_QUANTITY: Final = TypeAdapter(Quantity)
_OPEN, _CLOSE = b"{}"
_ODD: Final = (b"\\", b"null")
"""Escapes may hide NULs and lone surrogates; a null is not the same as nothing in every field."""


def read(values: Sequence[bytes], free: Free = ()) -> pa.Table | None:
    """The records' attributes and data as columns, nulls where they tell nothing; `properties` holds the free ones.

    None when there is a record that it does not vouch for.
    """
    table = _parsed(values, free)
    if table is None or table.num_rows != len(values):
        return None
    attributes = {name: table.column(name) for name in _ATTRIBUTES}
    data = dict(zip((field.name for field in table.schema.field("data").type), _fields(table), strict=True))
    typed = {name: data[name] for name in (*TEXTS, *NUMBERS, *CHOICES, "quantity")}
    extra = {name: data[name] for name, _ in free}
    if not (_attributes_fit(attributes) and _data_fits(typed) and _properties_fit(extra)):
        return None
    try:
        times = {name: pc.cast(attributes[name], _INSTANT) for name in TIMES}
        typed["quantity"] = _quantities(typed["quantity"])
    except (pa.ArrowInvalid, ValidationError):
        return None
    return pa.table({**attributes, **times, **typed, "properties": _properties(extra, len(values))})


def is_odd(value: bytes) -> bool:
    """Whether a glance at the record tells that `read` would not vouch for it."""
    return value[:1] != b"{" or value[-1:] != b"}" or any(odd in value for odd in (*_ODD, b"\n"))


def _parsed(values: Sequence[bytes], free: Free) -> pa.Table | None:
    """One object a value: every one begins and ends as an object, and line breaks stand between them only."""
    text = b"\n".join(values)
    if text.count(b"\n") != len(values) - 1 or not all(one and one[0] == _OPEN and one[-1] == _CLOSE for one in values):
        return None
    if any(odd in text for odd in _ODD):
        return None
    try:
        if not text.isascii():
            text.decode()
        blocks = BLOCKS if len(values) >= MANY else 1
        return arrow_json.read_json(
            pa.BufferReader(text),
            arrow_json.ReadOptions(use_threads=blocks > 1, block_size=len(text) // blocks + 1),
            arrow_json.ParseOptions(explicit_schema=_schema(free), unexpected_field_behavior="error"),
        ).combine_chunks()
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return None


@lru_cache(maxsize=8)
def _schema(free: Free) -> pa.Schema:
    data = {name: pa.string() for name in (*TEXTS, *CHOICES)} | {name: pa.int64() for name in NUMBERS}
    data |= {"quantity": pa.float64()} | {name: FREE_TYPES[kind] for name, kind in free}
    return pa.schema({**{name: pa.string() for name in _ATTRIBUTES}, "data": pa.struct(list(data.items()))})


def _fields(table: pa.Table) -> list[Any]:
    return list(table.column("data").combine_chunks().flatten())


def _attributes_fit(columns: Mapping[str, Any]) -> bool:
    return (
        all(columns[name].null_count == 0 for name in _NEEDED)
        and all(_within(pc.binary_length(columns[name]), 1, MAX_TEXT) for name in _ATTRIBUTES)
        and all(_among(columns[name], allowed) for name, allowed in _ONLY.items())
        and all(pc.all(pc.match_substring_regex(columns[name], _TIME)).as_py() for name in TIMES)
    )


def _data_fits(columns: Mapping[str, Any]) -> bool:
    choices = {name: _literals(UsageRecordedV1.model_fields[name].annotation) for name in CHOICES}
    return (
        columns["service"].null_count == 0
        and all(_within(pc.binary_length(columns[name]), 1, MAX_TEXT) for name in TEXTS)
        and all(_within(columns[name], 0, MAX_NUMBER) for name in NUMBERS)
        and all(_among(columns[name], allowed) for name, allowed in choices.items())
        and columns["quantity"].is_null().equals(columns["unit"].is_null())
    )


def _properties_fit(extra: Mapping[str, Any]) -> bool:
    return all(
        _within(pc.binary_length(column), 0, MAX_PROPERTY_BYTES - 2)  # the quotes
        for column in extra.values()
        if pa.types.is_string(column.type)
    )


def _literals(annotation: Any) -> list[str]:
    """The texts of a Literal, or of one in a union."""
    found = [_literals(one) if get_args(one) else [one] for one in get_args(annotation)]
    return [text for some in found for text in some if isinstance(text, str)]


def _within(numbers: Any, low: int, high: int) -> bool:
    found = pc.min_max(numbers).as_py()
    return found["min"] is None or bool(low <= found["min"] and found["max"] <= high)


def _among(texts: Any, allowed: Sequence[str]) -> bool:
    return set(pc.unique(texts).to_pylist()) <= {None, *allowed}


def _quantities(numbers: Any) -> Any:
    """As Decimal, by the contract's own rule. Raises: ValidationError."""
    if numbers.null_count == len(numbers):
        return pa.nulls(len(numbers), pa.decimal128(19, 6))
    exact: dict[float | None, Decimal | None] = {None: None}
    for number in pc.unique(numbers).to_pylist():
        if number is not None:
            exact[number] = _QUANTITY.validate_python(number)
    return pa.array([exact[number] for number in numbers.to_pylist()], pa.decimal128(19, 6))


def _properties(extra: Mapping[str, Any], rows: int) -> Any:
    """The free properties as a map of texts a row."""
    told = {name: column for name, column in extra.items() if column.null_count < rows}
    kind = pa.map_(pa.string(), pa.string())
    if not told:
        return pa.nulls(rows, kind)
    width = len(told)
    cell = pa.array(range(rows * width), pa.int64())
    row = pc.divide(cell, width)
    key = pc.subtract(cell, pc.multiply(row, width))
    texts = pa.concat_arrays([pc.cast(column, pa.string()) for column in told.values()])
    texts = texts.take(pc.add(pc.multiply(key, rows), row))
    there = texts.is_valid()
    ends = pc.cumulative_sum(pc.cast(there, pa.int32())).take(pa.array(range(width - 1, rows * width, width)))
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    return pa.MapArray.from_arrays(offsets, pa.array(list(told)).take(key.filter(there)), texts.filter(there))
