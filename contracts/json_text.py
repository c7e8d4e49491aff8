"""Strict JSON (RFC 8259, I-JSON RFC 7493): what two parsers could read differently is refused."""

import json
import math
import re
from typing import Any, Final

from pydantic_core import from_json, to_json

from contracts.errors import Malformed, Problem
from contracts.types import INT64_MAX

MAX_DEPTH: Final = 16
_KEYS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"\s*+:')
_SUSPECT = re.compile(rb"\\u0000|[0-9]{19}|[0-9][eE]\+?[0-9]{3}")


def pointer(*parts: str | int) -> str:
    """A JSON pointer (RFC 6901) to the place that the parts lead to."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def dump(value: Any) -> bytes:
    """The value as compact UTF-8 JSON."""
    return to_json(value)


def parse(raw: bytes) -> Any:
    """The JSON value in `raw`.

    Raises: Malformed, with a pointer where one is known: not UTF-8, not JSON, NaN or infinite numbers,
    lone surrogates, NUL characters, duplicate keys, integers beyond 64 bits, deeper than 16 levels.
    """
    try:
        value = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise _malformed("", "json", f"is not valid JSON: {error}") from None
    keys = _count_keys(value, 1)
    if keys is None or _SUSPECT.search(raw):
        _walk(value, (), 1)
    if keys != len(_KEYS.findall(raw)):
        _find_duplicate(raw)
    return value


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


def _malformed(at: str, code: str, message: str) -> Malformed:
    where = f"The value at {at}" if at else "The body"
    return Malformed(f"{where} {message}.", problems=(Problem(at, code, message),))


def _walk(value: Any, path: tuple[str | int, ...], depth: int) -> None:
    """Refuses what no consumer could keep, and says where it stands."""
    kind = type(value)
    if kind is str and "\x00" in value:
        raise _malformed(pointer(*path), "nul", "contains a NUL character; remove it")
    if kind is int and not -INT64_MAX - 1 <= value <= INT64_MAX:
        raise _malformed(pointer(*path), "integer_range", "is an integer beyond 64 bits; send it as a string")
    if kind is float and not math.isfinite(value):
        raise _malformed(pointer(*path), "not_finite", "is not a finite number")
    if (kind is dict or kind is list) and depth > MAX_DEPTH:
        raise _malformed(pointer(*path), "depth", f"is nested deeper than {MAX_DEPTH} levels; flatten it")
    if kind is list:
        for index, item in enumerate(value):
            _walk(item, (*path, index), depth + 1)
    if kind is dict:
        for key, item in value.items():
            if "\x00" in key:
                raise _malformed(pointer(*path), "nul", "has a key with a NUL character; rename it")
            _walk(item, (*path, key), depth + 1)


def _find_duplicate(raw: bytes) -> None:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, item in items:
            if key in seen:
                raise _malformed(pointer(key), "duplicate_key", f"has the key {key!r} twice; send it once")
            seen[key] = item
        return seen

    json.loads(raw, object_pairs_hook=pairs)
