"""The filter of identities: certain where it says new, seldom wrong where it says perhaps not."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.analytics.seen import Seen


@given(
    added=st.lists(st.binary(min_size=16, max_size=16), max_size=50),
    asked=st.lists(st.binary(min_size=16, max_size=16), max_size=50),
    size=st.sampled_from([4, 64, 1 << 12]),
)
def test_what_was_added_is_always_suspect_and_suspects_keep_their_order(
    added: list[bytes], asked: list[bytes], size: int
) -> None:
    seen = Seen(size)
    seen.add(added)
    suspects = seen.suspects(added + asked)
    assert suspects[: len(added)] == added
    rest = iter(asked)
    assert all(one in rest for one in suspects[len(added) :])


def test_false_alarms_stay_under_3_per_cent_with_a_byte_and_a_third_an_identity() -> None:
    identities = [hashlib.blake2b(str(number).encode(), digest_size=16).digest() for number in range(99_000)]
    seen = Seen(1 << 17)
    seen.add(identities[:98_000])
    assert len(seen.suspects(identities[98_000:])) < 50


@pytest.mark.parametrize("size", [0, 3, 12, 1 << 30])
def test_another_size_than_a_power_of_two_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Seen(size)
