"""Records read many at once say what they say one by one, or are left to be read one by one."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.events import records as ingested
from benchmarks.events import usage as synthetic
from consumers.analytics import plain, reading, rows
from consumers.analytics.reading import Found, Reader
from consumers.batch import decoded
from consumers.parking import explained
from contracts import catalog
from contracts.envelope import Envelope, identity_hash
from contracts.events.auth import UserRegisteredV1
from contracts.events.usage import UsageRecordedV1
from contracts.topics import LEDGER, USAGE
from infra.clickhouse import facts
from infra.kafka.log import LogRecord

FREE: plain.Free = (("region", "str"), ("shots", "int"), ("cached", "bool"))
FREE_NAMES = [name for name, _ in FREE]
ORDINARY: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e1",
    "source": "urn:test",
    "type": "usage.recorded.v1",
    "organization": "org_a",
    "time": "2026-11-23T12:00:00.000001Z",
    "acceptedat": "2026-11-23T12:00:01.500000Z",
    "requestid": "req_1",
}
PLAIN = json.dumps({**ORDINARY, "data": {"service": "chat", "input_tokens": 3, "region": "eu", "shots": -2}}).encode()


def logged(values: Sequence[bytes | None]) -> list[LogRecord]:
    return [LogRecord(USAGE, at % 3, at, b"org", value, (), 0) for at, value in enumerate(values)]


def as_rows(usage: pa.Table) -> list[dict[str, Any]]:
    """The rows as they are stored: what is not told has its default."""
    defaults: dict[str, Any] = {"status": "succeeded", "duration_ms": None, "quantity": 0, "properties": []}
    defaults |= dict.fromkeys(("provider", "model", "operation", "unit", "user", "team", "api_key", "request_id"), "")
    found = []
    for row in usage.to_pylist():
        told = {name: defaults.get(name, 0) if row.get(name) is None else row[name] for name in facts.USAGE.names}
        found.append(told | {"properties": dict(told["properties"])})
    return found


def one_by_one(records: Sequence[LogRecord]) -> Found:
    """What the contract says of them."""
    reader = Reader()
    reader._many = reader._one_by_one  # type: ignore[method-assign]
    return reader.read(records)


def letters(found: Found) -> list[tuple[int, str, str]]:
    """What goes to the dead letters, and why."""
    return sorted((record.offset, error.code, explained(error)) for record, error in found.parked)


def assert_same(found: Found, expected: Found) -> None:
    assert as_rows(found.usage) == as_rows(expected.usage)
    assert found.identities == expected.identities
    assert found.reached == expected.reached
    assert letters(found) == letters(expected)
    assert [record.offset for record in found.charges] == [record.offset for record in expected.charges]


_texts = st.one_of(
    st.sampled_from(
        ["", "null", "a\\b", 'a"b', "tab\t", "nul\0", "é", "😀", "x" * 255, "x" * 256, "é" * 255, "x" * 1022]
    ),
    st.text(max_size=8),
    st.text(st.characters(), min_size=250, max_size=260),
)
_numbers = st.one_of(
    st.integers(-1, 5),
    st.integers(10**12 - 1, 10**12 + 1),
    st.sampled_from([2**63 - 1, 2**63, 2**64, -(2**63) - 1, 0.1, 1e-7, 1.5, 1e12, 123456.654321, 0.1234567]),
    st.floats(),
)
_anything = st.recursive(
    st.none() | st.booleans() | _numbers | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=5,
)
_canonical = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31)).map(
    lambda time: time.isoformat(timespec="microseconds") + "Z"
)
_odd_times = st.datetimes(datetime(1960, 1, 1), datetime(2230, 1, 1)).map(
    lambda time: time.replace(tzinfo=UTC).isoformat()
) | st.sampled_from(
    ["2026-02-30T00:00:00Z", "2024-02-29T23:59:59Z", "2026-11-23T12:00:60Z", "2026-11-23T24:00:00Z", "2026-11-23",
     "2026-11-23 12:00:00Z", "2026-11-23T12:00:00", "2026-11-23t12:00:00z", "2026-11-23T12:00:00.1Z", "1795435200"]
)  # fmt: skip
_odd = _anything | _odd_times | st.sampled_from(["usage.recorded.v2", "ledger.charge.booked.v1", "mile", "odd"])
_names = st.sampled_from(["chat", "gpt-4o", "é", "模型", "x" * 255, "/a b"])

_plain_attributes = {name: _names for name in Envelope.model_fields if name not in ("data", "specversion", "type")}
_plain_attributes |= {"time": _canonical, "acceptedat": _canonical}
_plain_data: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(plain.TEXTS, _names),
    **dict.fromkeys(plain.NUMBERS, st.integers(0, 10**12)),
    "status": st.sampled_from(["succeeded", "failed", "cancelled"]),
    "region": _names | st.just(""),
    "shots": st.integers(-(2**63), 2**63 - 1),
    "cached": st.booleans(),
}
_amounts = st.fixed_dictionaries({}) | st.fixed_dictionaries(
    {
        "quantity": st.integers(0, 10**12) | st.integers(0, 10**9).map(lambda n: n / 1000) | st.floats(0, 1e6),
        "unit": st.sampled_from(["image", "second"]),
    }
)


@st.composite
def values(draw: st.DrawFn) -> bytes:
    """A record's bytes: a plain one, of whose fields up to two hold anything."""
    event: dict[str, Any] = ORDINARY | draw(st.fixed_dictionaries({}, optional=_plain_attributes))
    data = {"service": "chat"} | draw(st.fixed_dictionaries({}, optional=_plain_data)) | draw(_amounts)
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        name = draw(st.sampled_from([*Envelope.model_fields, *UsageRecordedV1.model_fields, *FREE_NAMES, "other"]))
        target = event if name in Envelope.model_fields else data
        match draw(st.sampled_from(["change", "change", "remove", "elsewhere"])):
            case "change":
                target[name] = draw(_odd)
            case "remove":
                target.pop(name, None)
            case "elsewhere":
                event[name + "x"] = draw(_odd)
    event.setdefault("data", data)
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :")]))
    text = json.dumps(event, separators=separators, ensure_ascii=draw(st.booleans()))
    return text.encode(errors="surrogatepass")


_PIECES = [
    *(
        b"null",
        b"NaN",
        b"-Infinity",
        b'"',
        b"}",
        b"{",
        b"\n",
        b"\r",
        b"\\",
        b"\\u0000",
        b"\\ud800",
        b"1e3",
        b"-0",
        b"00",
    ),
    *(b",", b":", b" ", b"[", b"]", b"true", b"}{", b"}\n{", b"\xef\xbb\xbf", b"1.0", b"/*", b"\x00", b"\x1f", b"\x7f"),
    *(b"\xff", b"\xc3", b'"input_tokens":1,', b'"service":"b",', b'"region":"z",', b'"time":"2026-11-23T12:00:00Z",'),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A record with pieces of it cut out or put in anywhere."""
    value = draw(values()) if draw(st.booleans()) else PLAIN
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(value)))
        cut = draw(st.sampled_from([0, 0, 1, 2, 5]))
        value = value[:at] + draw(st.sampled_from([b"", *_PIECES])) + value[at + cut :]
    return value


def judged(value: bytes) -> None:
    """What is read many at once is what the contract finds; and is not read where the contract refuses."""
    table = plain.read([value], FREE)
    records = logged([value])
    good, _ = decoded(records)
    if table is not None:
        assert [type(record.data) for record in good] == [UsageRecordedV1]
        assert as_rows(rows.usage_of_plain(table, records)) == as_rows(rows.usage_of_records(good))


@settings(max_examples=300, deadline=None)
@given(value=values())
def test_a_record_of_any_content_is_read_as_the_contract_reads_it_or_left_alone(value: bytes) -> None:
    judged(value)


@settings(max_examples=300, deadline=None)
@given(value=damaged())
@example(b'{"a":"x"}{"a":"y"}')
@example(b"null")
@example(b"{null}")
@example(b"")
def test_a_damaged_record_is_read_as_the_contract_reads_it_or_left_alone(value: bytes) -> None:
    judged(value)


@settings(max_examples=100, deadline=None)
@given(batches=st.lists(st.lists(values() | damaged() | st.none(), max_size=12), min_size=1, max_size=3))
def test_a_batch_says_what_its_records_say_one_by_one_in_their_order(batches: list[list[bytes | None]]) -> None:
    reader = Reader()
    for batch in batches:
        assert_same(reader.read(logged(batch)), one_by_one(logged(batch)))


def test_one_record_that_is_not_plain_is_found_among_many() -> None:
    told = [json.dumps({**ORDINARY, "id": f"e{at}", "data": {"service": "chat"}}).encode() for at in range(1_000)]
    told[617] = json.dumps({**ORDINARY, "data": {"service": ""}}).encode()
    told[618] = json.dumps({**ORDINARY, "id": "line\nbreak", "data": {"service": "chat", "new": 1.5}}).encode()
    reader, records = Reader(), logged(told)
    for _ in range(2):
        found = reader.read(records)
        assert_same(found, one_by_one(records))
        assert len(found.identities) == 999
        assert [record.offset for record, _ in found.parked] == [617]


def test_records_with_nulls_and_escapes_leave_the_others_to_be_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [json.dumps({**ORDINARY, "id": f"e{at}", "data": {"service": "chat"}}).encode() for at in range(2_000)]
    for at in range(0, 2_000, 20):
        told[at] = json.dumps({**ORDINARY, "id": f"e{at}", "data": {"service": "a\\b", "user": None}}).encode()
    single: list[int] = []
    monkeypatch.setattr(
        reading, "decoded", lambda records: single.extend(r.offset for r in records) or decoded(records)
    )
    found = Reader().read(logged(told))
    assert single == list(range(0, 2_000, 20))
    monkeypatch.undo()
    assert_same(found, one_by_one(logged(told)))


def test_where_no_record_is_plain_halving_is_given_up_until_they_are_again() -> None:
    reader, odd = Reader(), [json.dumps({**ORDINARY, "data": {"service": "chat", "t": 0.5}}).encode()] * 1_000
    usual = [PLAIN] * 1_000
    for values, seldom in ((odd, True), (odd, True), (usual, False), (usual, False)):
        assert_same(reader.read(logged(values)), one_by_one(logged(values)))
        assert reader._seldom is seldom


def test_what_the_ingress_writes_is_plain() -> None:
    told = ingested(synthetic(500, "e"), ["org_a", "org_b"])
    table = plain.read([value for one in told.values() for value in one])
    assert table is not None
    assert table.num_rows == 500


@pytest.mark.parametrize(
    "data",
    [
        UsageRecordedV1.EXAMPLE,
        {"service": "images", "quantity": 2.5, "unit": "image", "status": "failed"},
        {"service": "é" * 100, "user": "ünï"},
    ],
)
def test_records_with_any_field_are_plain_once_their_free_properties_are_known(data: dict[str, Any]) -> None:
    reader = Reader()
    records = logged([json.dumps({**ORDINARY, "data": data}, ensure_ascii=False).encode()])
    for _ in range(2):
        assert_same(reader.read(records), one_by_one(records))
    assert plain.read([records[0].value or b""], tuple(reader._free.items())) is not None


def test_free_properties_that_come_and_go_are_learned_anew() -> None:
    reader = Reader()
    for at in range(40):
        records = logged([json.dumps({**ORDINARY, "data": {"service": "chat", f"key_{at}": "v"}}).encode()] * 2)
        assert_same(reader.read(records), one_by_one(records))
    assert f"key_{39}" in reader._free
    assert len(reader._free) <= 32


def test_every_field_of_the_contract_has_a_column() -> None:
    named = {*plain.TEXTS, *plain.NUMBERS, *plain.CHOICES, "quantity"}
    assert named == set(UsageRecordedV1.model_fields)


@given(texts=st.lists(st.tuples(*(st.text(st.characters(exclude_categories=["Cs"]), max_size=6) for _ in range(3)))))
def test_identities_are_those_of_the_contract(texts: list[tuple[str, str, str]]) -> None:
    columns = dict(zip(("organization_id", "source", "event_id"), zip(*texts, strict=True), strict=False))
    usage = pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})
    found = rows.identities(usage) if texts else []
    assert found == [identity_hash(*one) for one in texts]


def test_usage_in_another_topic_and_events_of_other_types_are_read_by_their_type() -> None:
    registered = Envelope.model_validate({**ORDINARY, "type": UserRegisteredV1.TYPE, "data": UserRegisteredV1.EXAMPLE})
    other = LogRecord(USAGE, 0, 9, b"org", catalog.encode(registered), (), 0)
    found = Reader().read([LogRecord(LEDGER, 0, 4, b"org", PLAIN, (), 0), other])
    assert [place.as_py() for place in found.usage.column("offset")] == [4]
    assert {place: offset for place, (offset, _) in found.reached.items()} == {
        ("aihub.ledger.v1", 0): 5,
        ("aihub.usage.v1", 0): 10,
    }
    assert found.parked == []
