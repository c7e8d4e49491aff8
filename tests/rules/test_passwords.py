"""Passwords: what is refused, and that nothing else is."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.rules.passwords import MAX_LENGTH, normalised, problem_of
from infra.passwords import common_passwords

COMMON = common_passwords()


def code(password: str, minimum: int = 12, known: tuple[str, ...] = ()) -> str | None:
    found = problem_of(normalised(password), minimum=minimum, common=COMMON, known=known)
    return found.code if found else None


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("short", "too_short"),
        ("eleven char", "too_short"),
        ("x" * 129, "too_long"),
        ("unbelievable1", None),
        ("passwordpassword", "common"),
        ("Password12345!", "common"),
        ("!!!letmein!!!!!!", "common"),
        ("aaaaaaaaaaaaaaa", "common"),
        ("abcabcabcabcabc", "common"),
        ("dragondragondrag", "common"),
        ("123456789012345", "common"),
        ("zyxwvutsrqponml", "common"),
        ("qwertyuiopasdfgh", "common"),
        ("correct horse battery staple", None),
        ("384756283746512", None),
        ("สวัสดีครับผมชื่อเอด้า", None),
        ("no composition rules apply", None),
    ],
)
def test_what_is_guessed_first_is_refused_and_a_sentence_is_taken(password: str, expected: str | None) -> None:
    assert code(password) == expected


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("ada.lovelace1815", "personal"),
        ("lovelace-example", "personal"),
        ("smartaihub2026!", "personal"),
        ("lovelace wrote the first program", None),
    ],
)
def test_what_is_mostly_known_of_the_person_is_refused(password: str, expected: str | None) -> None:
    assert code(password, known=("ada.lovelace@example.com", "Ada Lovelace")) == expected


def test_the_list_is_of_passwords_in_lower_case() -> None:
    assert len(COMMON) > 20_000
    assert {"password", "letmein", "dragon"} <= COMMON
    assert all(one == one.casefold() for one in COMMON)


@given(st.text(min_size=1, max_size=40))
def test_the_same_text_composed_or_not_is_the_same_password(text: str) -> None:
    decomposed = unicodedata.normalize("NFD", text)
    assert normalised(decomposed) == normalised(text) == normalised(normalised(text))


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200), st.sampled_from((12, 15)))
def test_length_alone_decides_outside_the_lists(text: str, minimum: int) -> None:
    found = code(text, minimum)
    size = len(normalised(text))
    assert (found == "too_short") == (size < minimum)
    assert (found == "too_long") == (size > MAX_LENGTH)
