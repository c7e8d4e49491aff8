"""Strict JSON (RFC 8259, I-JSON RFC 7493): what two parsers could read differently is refused."""

import re
from typing import Any, Final

import orjson
from pydantic_core import from_json, to_json

from contracts import json_faults
from contracts.json_faults import MAX_DEPTH, pointer
from contracts.types import INT64_MAX

_KEYS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"\s*+:')
_TO_SPACES: Final = bytes.maketrans(b"\n\r\t", b"   ")

__all__ = ["MAX_DEPTH", "dump", "dump_plain", "parse", "pointer"]


def dump(value: Any) -> bytes:
    """The value as compact UTF-8 JSON."""
    return to_json(value)


def dump_plain(value: Any) -> bytes:
    """What `dump` says of it with its keys in order, in half the time; without floats, integers within 64 bits."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def parse(raw: bytes, level: int = 1) -> Any:
    """The JSON value in `raw`, which stands at `level` of what it will be part of (1: on its own).

    Raises: Malformed, with a pointer where there is a place: not UTF-8, not JSON, NaN or infinite numbers,
    lone surrogates, NUL characters, duplicate keys, integers beyond 64 bits, deeper than 16 levels.
    """
    try:
        value = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        json_faults.explain(raw, str(error), level)
    keys = _count_keys(value, level)
    if keys is None or b"\\u0000" in raw or not _has_keys(raw, keys):
        json_faults.check(raw, level)
    return value


def _has_keys(raw: bytes, keys: int) -> bool:
    """Whether the text surely has so many keys, and not more that fell together.

    Every key ends with a quote and a colon, so unless white space stands between them the text has at most as many
    keys as it has `":`. Only when that is too many are the keys themselves counted.
    """
    if raw.count(b'":') == keys and b" :" not in raw.translate(_TO_SPACES):
        return True
    return len(_KEYS.findall(raw)) == keys


def _count_keys(value: Any, depth: int) -> int | None:
    """How many object keys the value holds, itself and below; None when it is too deep or a number too large."""
    kind = type(value)
    if kind is dict:
        keys, items = len(value), value.values()
    elif kind is list:
        keys, items = 0, value
    else:
        return 0 if _fits(value) else None
    if depth > MAX_DEPTH:
        return None
    for item in items:
        kind = type(item)
        if kind is dict or kind is list:
            below = _count_keys(item, depth + 1)
            if below is None:
                return None
            keys += below
        elif (kind is int or kind is float) and not _fits(item):
            return None
    return keys


def _fits(value: Any) -> bool:
    """Whether a number is finite and, if an integer, within 64 bits; true for whatever is no number."""
    if type(value) is int:
        return -INT64_MAX <= value + 1 <= INT64_MAX + 1
    return type(value) is not float or value - value == 0.0
