"""The law of the front door: what is accepted, every consumer can read; what is refused, is refused at a place."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from hypothesis import given
from hypothesis import strategies as st

from api.core.principal import Principal
from api.events.formats import read_events, read_usage
from api.events.judge import Judge
from contracts import catalog
from contracts.envelope import body_hash
from contracts.errors import AihubError, Malformed
from contracts.events.base import SYSTEM_SOURCE

T = TypeVar("T")

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WHO = Principal("key_1", "org_1", frozenset(("*",)))
BATCH = {b"content-type": b"application/cloudevents-batch+json"}

NOISE = ["x" * 300, "\ud800", "\x00", "a\nb", "2026-11-23T11:00:00.5Z", "9999-12-31T23:59:59-14:00", "/hub/x"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(NOISE)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)
ATTRIBUTES = ["id", "source", "subject", "time", "dataschema", "datacontenttype", "organization", "acceptedat"]
NAMES = st.sampled_from([*ATTRIBUTES, "ext1", "Ext", "data_base64"]) | st.text(max_size=5)
KNOWN_DATA = ["model", "input_tokens", "quantity", "unit", "duration_ms", "status", "region"]
DATA_NAMES = st.sampled_from(KNOWN_DATA) | st.text(max_size=5)


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """An event of some known type with its example data, and some of it replaced by noise."""
    cls = draw(st.sampled_from(list(catalog.EVENTS.values())))
    event: dict[str, Any] = {"specversion": "1.0", "id": "e", "source": "urn:x", "type": cls.TYPE}
    event["data"] = dict(cls.EXAMPLE) | draw(st.dictionaries(DATA_NAMES, VALUES, max_size=2))
    return event | draw(st.dictionaries(NAMES, VALUES, max_size=2))


def tried(call: Callable[[], T]) -> T | AihubError:
    """What the call gives, or the error of ours that it raises; any other error is a bug and comes through."""
    try:
        return call()
    except AihubError as error:
        return error


@given(st.lists(events(), min_size=1, max_size=3))
def test_what_is_accepted_can_be_decoded_and_what_is_refused_has_a_pointer(sent: list[dict[str, Any]]) -> None:
    judge = Judge(WHO, NOW, "req_1", data_at="/data", organizations=frozenset())
    for item in read_events(BATCH, json.dumps(sent).encode(), 1000).items:
        if isinstance(item, Malformed):
            assert item.problems[0].code
            continue
        found = tried(lambda item=item: judge.judge(item))
        if isinstance(found, AihubError):
            assert found.status in (403, 422)
            assert found.problems
            assert all(problem.pointer == "" or problem.pointer.startswith("/") for problem in found.problems)
            continue
        envelope, data = catalog.decode(found.value)
        assert (envelope.organization, envelope.id) == ("org_1", found.id)
        assert not envelope.source.startswith(SYSTEM_SOURCE + "/")
        assert type(data).PERMISSION is not None
        assert body_hash(envelope.type, envelope.subject, envelope.data) == found.body_hash


@given(st.dictionaries(DATA_NAMES | st.sampled_from(["service", "id", "source", "time", "events"]), VALUES, max_size=4))
def test_plain_usage_is_accepted_and_readable_or_a_client_error(usage: dict[str, Any]) -> None:
    raw = json.dumps({"service": "chat"} | usage).encode()
    judge = Judge(WHO, NOW, "req_1", data_at="", organizations=frozenset())
    sent = tried(lambda: read_usage({b"content-type": b"application/json"}, raw, 1000))
    for item in [sent] if isinstance(sent, AihubError) else sent.items:
        found = item if isinstance(item, AihubError) else tried(lambda item=item: judge.judge(item))
        if isinstance(found, AihubError):
            assert 400 <= found.status < 500
        else:
            catalog.decode(found.value)


@given(st.binary(max_size=60))
def test_no_bytes_are_more_than_a_client_error(raw: bytes) -> None:
    for content_type in (b"application/cloudevents-batch+json", b"application/x-ndjson", b"application/json"):
        found = tried(lambda content_type=content_type: read_events({b"content-type": content_type}, raw, 1000))
        assert not isinstance(found, AihubError) or 400 <= found.status < 500


@given(st.lists(VALUES | events(), max_size=4), st.sampled_from(["", " ", "\n"]))
def test_elements_are_told_apart_however_bad_they_are(values: list[Any], gap: str) -> None:
    raw = ("[" + f"{gap},{gap}".join(json.dumps(value) for value in values) + "]").encode()
    found = tried(lambda: read_events(BATCH, raw, 1000))
    assert isinstance(found, AihubError) == (not values)
    assert isinstance(found, AihubError) or len(found.items) == len(values)
