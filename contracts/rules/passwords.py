"""What a password must be (NIST SP 800-63B-4, section 3.1.1): long and not common; no composition rules. Pure."""

import re
import unicodedata
from collections.abc import Container, Iterable
from itertools import takewhile
from typing import Final

from contracts.errors import Problem

MAX_LENGTH: Final = 128
"""Characters, after normalisation."""
_ROWS: Final = (
    "01234567890123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qazwsxedcrfvtgbyhnujmikolp",
)
_OURS: Final = ("smartaihub", "aihub")
_PART: Final = 4
"""Of what is known of a person, shorter parts are no help to whoever guesses."""
_ENOUGH_BESIDE: Final = 8
"""So many characters beside what is known of a person are not given away by it."""
_SHORT_UNIT: Final = 3


def normalised(password: str) -> str:
    """The password in NFC: the same keys typed on another machine are the same password."""
    return unicodedata.normalize("NFC", password)


def problem_of(password: str, *, minimum: int, common: Container[str], known: Iterable[str] = ()) -> Problem | None:
    """What is wrong with a normalised password; None: nothing. `common` holds passwords in lower case, `known` is what
    others know of the person: address, name."""
    if len(password) < minimum:
        return _problem("too_short", f"must have at least {minimum} characters; a sentence is easy to remember")
    if len(password) > MAX_LENGTH:
        return _problem("too_long", f"must have at most {MAX_LENGTH} characters")
    plain = password.casefold()
    if plain in common or _core(plain) in common or _repeats(plain, common) or _is_row(plain):
        return _problem("common", "is among those that are guessed first; take another")
    if _mostly_known(plain, known):
        return _problem("personal", "is mostly your address, your name or ours; take another")
    return None


def _problem(code: str, message: str) -> Problem:
    return Problem("/password", code, message)


def _core(plain: str) -> str:
    """Without the digits and signs that people put around a word."""
    return re.sub(r"^[\W\d_]+|[\W\d_]+$", "", plain)


def _repeats(plain: str, common: Container[str]) -> bool:
    """Whether it is one short or common piece again and again (the last may be cut)."""
    for size in range(1, len(plain) // 2 + 1):
        piece = plain[:size]
        if (piece * (len(plain) // size + 1)).startswith(plain):
            return size <= _SHORT_UNIT or piece in common or _is_row(piece)
    return False


def _is_row(plain: str) -> bool:
    """Whether it is one row of keys, or the alphabet, forwards or backwards; further rounds count too."""
    rows = [row * (len(plain) // len(row) + 2) for row in _ROWS]
    return any(plain in row or plain in row[::-1] for row in rows)


def _mostly_known(plain: str, known: Iterable[str]) -> bool:
    words = {word for text in (*known, *_OURS) for word in re.split(r"[\W_]+", text.casefold()) if len(word) >= _PART}
    words |= {"".join(takewhile(lambda char: char != "@", text.casefold())) for text in known if "@" in text}
    rest = plain
    for word in sorted(words, key=lambda word: (-len(word), word)):
        rest = rest.replace(word, "") if len(word) >= _PART else rest
    return rest != plain and len(rest) < _ENOUGH_BESIDE
