"""Every event version is frozen, and its example is true."""

import json

import jsonschema
import pytest

from contracts import catalog
from contracts.errors import InvalidRecord, UnreadableRecord
from contracts.events.base import EventData
from infra.ops.freeze import FROZEN, frozen_form

EVENTS = sorted(catalog.EVENTS.values(), key=lambda event: event.TYPE)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.TYPE)
def test_an_event_version_is_what_was_frozen(event: type[EventData]) -> None:
    frozen = json.loads((FROZEN / f"{event.TYPE}.json").read_text())
    assert json.loads(json.dumps(frozen_form(event))) == frozen, "a change of meaning is a new version"


def test_every_frozen_file_has_its_event() -> None:
    assert {path.stem for path in FROZEN.glob("*.json")} == set(catalog.EVENTS)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.TYPE)
def test_an_example_fits_its_own_schema_and_class(event: type[EventData]) -> None:
    jsonschema.validate(event.EXAMPLE, event.model_json_schema(), cls=jsonschema.Draft202012Validator)
    data = event.model_validate(event.EXAMPLE)
    assert event.model_validate(data.model_dump(mode="json")) == data


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.TYPE)
def test_an_example_names_every_field(event: type[EventData]) -> None:
    optional = {"actor", "address", "reason", "quantity", "unit"}
    assert set(event.model_fields) - set(event.EXAMPLE) <= optional


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"service": None}, "/data/service"),
        ({"service": ""}, "/data/service"),
        ({"service": "x" * 256}, "/data/service"),
        ({"service": "a\x00b"}, "/data/service"),
        ({"input_tokens": -1}, "/data/input_tokens"),
        ({"input_tokens": "12"}, "/data/input_tokens"),
        ({"input_tokens": 1.5}, "/data/input_tokens"),
        ({"input_tokens": True}, "/data/input_tokens"),
        ({"output_tokens": 10**12 + 1}, "/data/output_tokens"),
        ({"quantity": -1, "unit": "image"}, "/data/quantity"),
        ({"quantity": 0.1234567, "unit": "image"}, "/data/quantity"),
        ({"quantity": "abc", "unit": "image"}, "/data/quantity"),
        ({"quantity": 1}, "/data"),
        ({"unit": "furlong", "quantity": 1}, "/data/unit"),
        ({"status": "maybe"}, "/data/status"),
        ({f"p{n}": n for n in range(33)}, "/data"),
        ({"note": "x" * 1100}, "/data"),
    ],
)
def test_usage_out_of_bounds_is_refused_at_its_place(change: dict[str, object], pointer: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        catalog.check("usage.recorded.v1", {"service": "chat", **change})
    assert [problem.pointer for problem in refused.value.problems] == [pointer]


def test_unknown_properties_are_kept() -> None:
    usage = catalog.check("usage.recorded.v1", {"service": "chat", "region": "eu", "nested": {"a": [1]}})
    assert usage.properties == {"region": "eu", "nested": {"a": [1]}}  # type: ignore[attr-defined]


def test_an_unknown_type_is_unreadable() -> None:
    with pytest.raises(UnreadableRecord, match="usage.imagined.v9"):
        catalog.check("usage.imagined.v9", {})


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("credits.granted.v1", {"amount_micros": 0}),
        ("credits.granted.v1", {"amount_micros": 1, "priority": -1}),
        (
            "credits.granted.v1",
            {"amount_micros": 1, "effective_at": "2026-01-02T00:00:00Z", "expires_at": "2026-01-01T00:00:00Z"},
        ),
        ("credits.granted.v1", {"amount_micros": 1, "expires_at": "2026-01-01T00:00:00"}),
        ("credits.adjusted.v1", {"amount_micros": 0, "reason": "x"}),
        ("credits.adjusted.v1", {"amount_micros": 10**16, "reason": "x"}),
        ("credits.refunded.v1", {"amount_micros": 5}),
        ("credits.purchased.v1", {"amount_micros": 5, "payment_id": "p", "price_paid_nanos": 1, "surprise": 1}),
    ],
)
def test_credit_facts_out_of_bounds_are_refused(event_type: str, data: dict[str, object]) -> None:
    with pytest.raises(InvalidRecord):
        catalog.check(event_type, data)
