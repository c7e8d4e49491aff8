"""Strict JSON (RFC 8259, I-JSON RFC 7493): what two parsers could read differently is refused."""

import re
from typing import Any, Final

from pydantic_core import from_json, to_json

from contracts import json_faults
from contracts.json_faults import MAX_DEPTH, pointer

_KEYS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"\s*+:')
_SUSPECT: Final = re.compile(rb"\\u0000|[0-9]{19,}+(?:[.eE,\]}\s]|\Z)|[0-9][eE]\+?[0-9]{3,}+(?:[,\]}\s]|\Z)")
_SPACED_COLONS: Final = (b" :", b"\n:", b"\r:", b"\t:")

__all__ = ["MAX_DEPTH", "dump", "parse", "pointer"]


def dump(value: Any) -> bytes:
    """The value as compact UTF-8 JSON."""
    return to_json(value)


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
    if keys is None or not _has_keys(raw, keys) or _SUSPECT.search(raw):
        json_faults.check(raw, level)
    return value


def _has_keys(raw: bytes, keys: int) -> bool:
    """Whether the text surely has so many keys, and not more that fell together.

    Every key ends with a quote and a colon, so unless white space stands between them the text has at most as many
    keys as it has `":`. Only when that is too many are the keys themselves counted.
    """
    if raw.count(b'":') == keys and not any(spaced in raw for spaced in _SPACED_COLONS):
        return True
    return len(_KEYS.findall(raw)) == keys


def _count_keys(value: Any, depth: int) -> int | None:
    """How many object keys the value holds, itself and below; None when nested too deep."""
    if type(value) is dict:
        keys, items = len(value), list(value.values())
    elif type(value) is list:
        keys, items = 0, value
    else:
        return 0
    if depth > MAX_DEPTH:
        return None
    for item in items:
        if type(item) is dict or type(item) is list:
            below = _count_keys(item, depth + 1)
            if below is None:
                return None
            keys += below
    return keys
