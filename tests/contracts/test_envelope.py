"""Identity and body are told apart from everything that may differ between two tellings."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import catalog
from contracts.envelope import Envelope, body_hash, hour_of, identity_hash
from contracts.errors import InvalidRecord, UnreadableRecord

NOW = datetime(2026, 11, 23, 7, 30, 0, 123456, tzinfo=UTC)
USAGE = {"service": "chat", "input_tokens": 1, "nested": {"b": 1, "a": [1.0, {"y": 2, "x": 1}]}}


def envelope(**changes: object) -> Envelope:
    values = {
        "id": "1",
        "source": "s",
        "type": "usage.recorded.v1",
        "organization": "org_1",
        "time": NOW,
        "acceptedat": NOW,
        "data": USAGE,
    }
    return Envelope.model_validate(values | changes)


def test_an_envelope_comes_back_from_kafka_as_it_was() -> None:
    sent = envelope(subject="user_1", partitionkey="x", comkey=5)
    received, data = catalog.decode(catalog.encode(sent))
    assert received == sent
    assert data.model_dump(exclude_defaults=True) == USAGE


def test_the_order_of_keys_and_the_form_of_whole_numbers_do_not_change_a_body() -> None:
    other = {"nested": {"a": [1, {"x": 1, "y": 2}], "b": 1}, "input_tokens": 1, "service": "chat"}
    assert body_hash("t", None, USAGE) == body_hash("t", None, other)


@pytest.mark.parametrize("change", [{"input_tokens": 2}, {"more": 1}, {"service": "Chat"}])
def test_any_other_value_changes_a_body(change: dict[str, object]) -> None:
    assert body_hash("t", None, USAGE) != body_hash("t", None, {**USAGE, **change})


def test_type_and_subject_belong_to_the_body() -> None:
    assert len({body_hash(kind, subject, {}) for kind in ("a", "b") for subject in (None, "x")}) == 4


@given(st.tuples(st.text(), st.text(), st.text()), st.tuples(st.text(), st.text(), st.text()))
def test_different_identities_have_different_hashes(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert (one == other) == (identity_hash(*one) == identity_hash(*other))


def test_parts_of_an_identity_cannot_flow_into_each_other() -> None:
    assert identity_hash("a", "bc", "d") != identity_hash("ab", "c", "d") != identity_hash("a", "b", "cd")


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[]", b"1", b"{}", b'{"specversion":"0.3"}', b'{"a":1,"a":2}'])
def test_what_is_no_envelope_is_unreadable(raw: bytes) -> None:
    with pytest.raises(UnreadableRecord):
        catalog.decode(raw)


def test_data_that_breaks_its_contract_is_invalid() -> None:
    with pytest.raises(InvalidRecord) as refused:
        catalog.decode(catalog.encode(envelope(data={"service": "chat", "input_tokens": -1})))
    assert refused.value.problems[0].pointer == "/data/input_tokens"


def test_a_time_without_a_zone_is_unreadable() -> None:
    raw = catalog.encode(envelope()).replace(b'"time":"2026-11-23T07:30:00.123456Z"', b'"time":"2026-11-23T07:30:00"')
    with pytest.raises(UnreadableRecord, match="envelope"):
        catalog.decode(raw)


def test_a_stated_fact_names_its_cause() -> None:
    cause = envelope(requestid="req_1")
    data = catalog.EVENTS["ledger.model.unpriced.v1"].model_validate(catalog.EVENTS["ledger.model.unpriced.v1"].EXAMPLE)
    stated = catalog.state(data, event_id="e", source="/hub/ledger", organization="org_1", now=NOW, cause=cause)
    assert (stated.causesource, stated.causeid, stated.requestid) == ("s", "1", "req_1")
    assert catalog.decode(catalog.encode(stated))[1] == data


def test_a_family_is_the_topics() -> None:
    assert catalog.family("usage.recorded.v1") == "usage"
    assert catalog.family("credits.balance.low.v1") == "ledger"


def test_the_hour_is_cut_not_rounded() -> None:
    assert hour_of(NOW) == datetime(2026, 11, 23, 7, tzinfo=UTC)
