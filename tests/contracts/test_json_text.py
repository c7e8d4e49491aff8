"""What two parsers could read differently is refused, at its place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import json_text
from contracts.errors import Malformed

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",))),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",))), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(VALUES, st.sampled_from([None, 1]))
def test_every_plain_value_comes_back_as_it_was(value: object, indent: int | None) -> None:
    assert json_text.parse(json.dumps(value, indent=indent).encode()) == value


@pytest.mark.parametrize(
    ("raw", "code", "pointer"),
    [
        (b"", "json", ""),
        (b"{", "json", ""),
        (b'{"a":NaN}', "not_finite", "/a"),
        (b'{"a":-Infinity}', "not_finite", "/a"),
        (b'{"a":"\xff"}', "utf8", "/a"),
        (b'{"a":"\\ud800"}', "surrogate", "/a"),
        (b"\xef\xbb\xbf{}", "json", ""),
        (b"[" * 300 + b"]" * 300, "depth", "/0" * 16),
        (b"[" * 100_000 + b"]" * 100_000, "depth", ""),
        (b'{"a":{"b":1e999}}', "not_finite", "/a/b"),
        (b'{"a":[0,9223372036854775808]}', "integer_range", "/a/1"),
        (b'{"a":-9223372036854775809}', "integer_range", "/a"),
        (b'{"a/b":"x\\u0000"}', "nul", "/a~1b"),
        (b'{"a":{"\\u0000":1}}', "nul", "/a"),
        (b'{"a":1,"b":2,"a":3}', "duplicate_key", "/a"),
        (b'{"x":{"a":1,"\\u0061":2}}', "duplicate_key", "/x/a"),
        (b'{"x" :1,"y":":","x":2}', "duplicate_key", "/x"),
        (b'{"a\\\\":1,"b":1,"b":2}', "duplicate_key", "/b"),
        (b"1e999", "not_finite", ""),
        (b'{"a":' * 20 + b"1" + b"}" * 20, "depth", "/a" * 16),
        (b"[" * 20 + b"]" * 20, "depth", "/0" * 16),
    ],
)
def test_what_is_not_plain_is_refused_at_its_place(raw: bytes, code: str, pointer: str) -> None:
    with pytest.raises(Malformed) as refused:
        json_text.parse(raw)
    (problem,) = refused.value.problems
    assert (problem.code, problem.pointer) == (code, pointer)


def test_colons_and_quotes_in_strings_are_no_keys() -> None:
    value = {"a:": '":"', 'b"': '{"c": 1}', "d\\": ":"}
    assert json_text.parse(json.dumps(value).encode()) == value


TEXT = st.characters(exclude_categories=("Cs",))
PLAIN = st.dictionaries(st.text(TEXT), st.text(TEXT) | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.none())


@given(PLAIN)
def test_what_is_plain_is_written_fast_as_it_is_written_slowly(data: dict[str, object]) -> None:
    in_order = {key: data[key] for key in sorted(data)}
    assert json_text.dump_plain(["type", None, data]) == json_text.dump(["type", None, in_order])
