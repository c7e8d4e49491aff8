"""Public names, patterns and bodies of webhooks."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import catalog
from contracts.envelope import Envelope
from contracts.events.auth import UserLoggedInV1
from contracts.events.base import EventData
from contracts.events.ledger import GrantBookedV1
from contracts.events.usage import UsageRecordedV1
from contracts.rules import webhooks
from tests.support.clock import FakeClock

NOW = FakeClock().now()


def _envelope(data: EventData, **more: str) -> Envelope:
    return catalog.state(data, event_id="evt_1", source="urn:x", organization="org_1", now=NOW).model_copy(update=more)


def _usage(**fields: object) -> UsageRecordedV1:
    return UsageRecordedV1.model_validate({**UsageRecordedV1.EXAMPLE, **fields})


@pytest.mark.parametrize(
    "status, name",
    [("succeeded", "service.completed"), ("failed", "service.failed"), ("cancelled", "service.failed")],
)
def test_the_status_of_a_use_decides_its_name(status: str, name: str) -> None:
    assert webhooks.public_name(UsageRecordedV1.TYPE, _usage(status=status)) == name


@pytest.mark.parametrize(
    "source, name",
    [("purchase", "credits.purchased"), ("refund", "credits.refunded"), ("promo", "credits.granted")],
)
def test_the_source_of_a_grant_decides_its_name(source: str, name: str) -> None:
    grant = GrantBookedV1.model_validate({**GrantBookedV1.EXAMPLE, "source": source})
    assert webhooks.public_name(GrantBookedV1.TYPE, grant) == name


def test_every_public_type_is_reached_by_its_own_example() -> None:
    for known in webhooks.EVENT_TYPES:
        data = known.data.model_validate(known.example if known.when else known.data.EXAMPLE)
        expected = "credits.purchased" if known.name == "credits.granted" else known.name
        assert webhooks.public_name(known.data.TYPE, data) == expected


def test_events_that_nobody_outside_is_told_have_no_name() -> None:
    for hub_type in ("auth.key.created.v1", "auth.permission.denied.v1", "ledger.model.unpriced.v1"):
        cls = catalog.EVENTS[hub_type]
        assert webhooks.public_name(hub_type, cls.model_validate(cls.EXAMPLE)) is None


@given(st.sampled_from(webhooks.NAMES), st.frozensets(st.sampled_from(sorted(webhooks.PATTERNS)), max_size=6))
def test_a_subscription_matches_a_name_exactly_when_it_holds_the_name_its_family_or_everything(
    name: str, patterns: frozenset[str]
) -> None:
    family = name.split(".")[0] + ".*"
    assert webhooks.matches(patterns, name) == (name in patterns or family in patterns or "*" in patterns)


@given(st.sampled_from(webhooks.NAMES))
def test_every_pattern_of_a_name_can_be_subscribed_to(name: str) -> None:
    assert webhooks.unknown_patterns(sorted(webhooks.patterns_of(name))) == ()


@pytest.mark.parametrize(
    "pattern", ["credits", "credits.", "*.low", "credit.*", "", "credits.**", "nothing.at_all", "**"]
)
def test_a_pattern_that_can_match_nothing_is_refused_with_its_place(pattern: str) -> None:
    problems = webhooks.unknown_patterns(["credits.*", pattern])
    assert [problem.pointer for problem in problems] == ["/event_types/1"]


def test_the_body_names_the_event_and_its_cause_beside_the_data() -> None:
    data = _usage(region="eu", event="mine")
    body = json.loads(webhooks.payload("service.completed", _envelope(data, causesource="urn:y", causeid="c1"), data))
    assert body["type"] == "service.completed"
    assert body["timestamp"] == "2026-11-23T12:00:00.000000Z"
    assert body["data"]["event"] == {
        "id": "evt_1",
        "source": "urn:x",
        "type": "usage.recorded.v1",
        "organization": "org_1",
        "cause": {"source": "urn:y", "id": "c1"},
    }
    assert body["data"]["properties"] == {"region": "eu", "event": "mine"}
    assert body["data"]["input_tokens"] == 374


def test_a_body_beyond_256_kib_is_sent_thin() -> None:
    data = _usage(model="m").model_copy(update={"model": "x" * 300_000})
    text = webhooks.payload("service.completed", _envelope(data), data)
    assert len(text.encode()) < 1024
    assert json.loads(text)["data"] == {
        "event": {"id": "evt_1", "source": "urn:x", "type": "usage.recorded.v1", "organization": "org_1"},
        "thin": True,
    }


def test_from_where_a_person_acted_is_told_to_nobody() -> None:
    data = UserLoggedInV1(user_id="user_1", actor="user_1", address="192.0.2.7")
    envelope = catalog.state(data, event_id="e", source="/hub/auth", organization="org_1", now=NOW)
    body = webhooks.payload("user.login", envelope, data)
    assert "user_1" in body
    assert "192.0.2.7" not in body
