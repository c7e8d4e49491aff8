"""Says where a JSON text breaks the rules of `contracts.json_text`; the slow path, for bad or suspicious texts only."""

import json
import math
from typing import Any, Final, NoReturn

from contracts.errors import Malformed, Problem
from contracts.types import INT64_MAX

MAX_DEPTH: Final = 16
_BEYOND: Final = 2**64
_Path = tuple[str | int, ...]


def pointer(*parts: str | int) -> str:
    """A JSON pointer (RFC 6901) to the place that the parts lead to."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def malformed(at: str, code: str, message: str) -> Malformed:
    """The error for a fault at the pointer `at`."""
    where = f"The value at {at}" if at else "The body"
    return Malformed(f"{where} {message}.", problems=(Problem(at, code, message),))


def explain(raw: bytes, reason: str, level: int = 1) -> NoReturn:
    """Raises: Malformed for a text that is no JSON for the `reason` given, with a pointer when there is a place."""
    check(raw, level)
    raise malformed("", "json", f"is not valid JSON: {reason}")


def check(raw: bytes, level: int = 1) -> None:
    """Returns when every value in the text can be kept. Raises: Malformed with a pointer to the first that cannot."""
    text = raw.decode("utf-8", "surrogateescape")
    try:
        value = json.loads(text, object_pairs_hook=_Object, parse_constant=_not_finite, parse_int=_integer)
    except json.JSONDecodeError as error:
        _refuse_encoding(raw)
        where = f"line {error.lineno}, column {error.colno}"
        raise malformed("", "json", f"is not valid JSON: {error.msg} at {where}") from None
    except RecursionError:
        raise malformed("", "depth", f"is nested deeper than {MAX_DEPTH} levels; flatten it") from None
    _walk(value, (), level)
    _refuse_encoding(raw)


class _Object(dict[str, Any]):
    """A JSON object that remembers a key that it saw twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice: str | None = None
        if len(self) != len(pairs):
            seen: set[str] = set()
            self.twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]


def _not_finite(_name: str) -> float:
    return math.nan


def _integer(digits: str) -> int:
    return int(digits) if len(digits) <= 20 else _BEYOND


def _refuse_encoding(raw: bytes) -> None:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise malformed("", "utf8", f"is not valid UTF-8 (byte {error.start})") from None


def _walk(value: Any, path: _Path, depth: int) -> None:
    kind = type(value)
    if kind is str:
        _text(value, path)
    elif kind is int and not -INT64_MAX - 1 <= value <= INT64_MAX:
        raise malformed(pointer(*path), "integer_range", "is an integer beyond 64 bits; send it as a string")
    elif kind is float and not math.isfinite(value):
        raise malformed(pointer(*path), "not_finite", "is not a finite number")
    elif kind is list or kind is _Object:
        if depth > MAX_DEPTH:
            raise malformed(pointer(*path), "depth", f"is nested deeper than {MAX_DEPTH} levels; flatten it")
        _walk_into(value, path, depth + 1)


def _walk_into(value: Any, path: _Path, depth: int) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            _walk(item, (*path, index), depth)
        return
    for key, item in value.items():
        _text(key, path)
        _walk(item, (*path, key), depth)
    if value.twice is not None:
        raise malformed(pointer(*path, value.twice), "duplicate_key", "is there twice in its object; send it once")


def _text(text: str, path: _Path) -> None:
    if "\x00" in text:
        raise malformed(pointer(*path), "nul", "contains a NUL character; remove it")
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        if any("\udc80" <= letter <= "\udcff" for letter in text):
            raise malformed(pointer(*path), "utf8", "is not valid UTF-8")
        raise malformed(pointer(*path), "surrogate", "contains half of a surrogate pair; send whole characters")
