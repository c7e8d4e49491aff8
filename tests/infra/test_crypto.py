"""Keys and seals: what is sealed opens with its secret and in its place, and only there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.core.persons import MAX_PLAIN, PersonSealer, opened
from contracts.errors import ConfigError
from infra.crypto import SERVICE_PREFIX, Sealer, hash_secret, looks_like_api_key, new_api_key, new_code

OLD, NEW = b"o" * 32, b"n" * 32


@given(plain=st.binary(max_size=200), purpose=st.text(max_size=30))
def test_what_is_sealed_opens_again(plain: bytes, purpose: str) -> None:
    sealer = Sealer(NEW)
    assert sealer.open(sealer.seal(plain, purpose), purpose) == plain


def test_the_same_value_is_never_sealed_alike() -> None:
    assert Sealer(NEW).seal(b"x", "p") != Sealer(NEW).seal(b"x", "p")


@given(st.integers(0, 60), st.integers(1, 255))
def test_a_changed_byte_does_not_open(at: int, change: int) -> None:
    sealed = bytearray(Sealer(NEW).seal(b"secret value of some length.....", "p"))
    sealed[at % len(sealed)] ^= change
    with pytest.raises(ConfigError):
        Sealer(NEW).open(bytes(sealed), "p")


def test_a_value_that_was_moved_to_another_place_does_not_open() -> None:
    with pytest.raises(ConfigError, match="totp/user_2"):
        Sealer(NEW).open(Sealer(NEW).seal(b"x", "totp/user_1"), "totp/user_2")


def test_after_a_change_of_the_secret_old_seals_open_and_new_ones_are_under_the_new() -> None:
    old, both = Sealer(OLD), Sealer(NEW, OLD)
    sealed = old.seal(b"x", "p")
    assert both.open(sealed, "p") == b"x"
    assert (both.is_current(sealed), both.is_current(both.seal(b"x", "p"))) == (False, True)
    with pytest.raises(ConfigError, match="AIHUB_SECRET_PREVIOUS"):
        Sealer(NEW).open(sealed, "p")
    with pytest.raises(ConfigError):
        old.open(both.seal(b"x", "p"), "p")


def test_hashes_of_one_secret_for_two_purposes_differ() -> None:
    assert hash_secret("s", OLD, "refresh") != hash_secret("s", OLD, "verify")
    assert hash_secret("s", OLD, "refresh") != hash_secret("s", NEW, "refresh")


def test_keys_of_both_kinds_are_told_from_what_was_mistyped() -> None:
    for key in (new_api_key(), new_api_key(SERVICE_PREFIX)):
        assert looks_like_api_key(key)
        assert not looks_like_api_key(key[:-1] + ("0" if key[-1] != "0" else "1"))
        assert not looks_like_api_key(key[:-1])


def test_codes_have_all_their_digits() -> None:
    assert {len(new_code()) for _ in range(2_000)} == {6}


@given(st.text(max_size=300))
def test_a_persons_text_fits_its_column_and_opens_for_them_only(text: str) -> None:
    mine, other = PersonSealer(OLD, "user_1"), PersonSealer(NEW, "user_2")
    sealed = mine.seal(text)
    assert len(sealed) <= 255
    assert mine.open(sealed) == text.encode()[:MAX_PLAIN].decode(errors="ignore")
    assert opened({"user_1": mine}, "user_1", sealed) == mine.open(sealed)
    assert opened({"user_1": other}, "user_1", sealed) == "erased"
    assert opened({}, "user_1", sealed) == "erased"
    assert opened({}, "user_1", "192.0.2.7") == "192.0.2.7"
