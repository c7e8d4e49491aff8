"""What subscribers are told: public event names, how patterns match them, and the body that is sent."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from contracts import json_text
from contracts.envelope import Envelope
from contracts.errors import Problem
from contracts.events import auth, ledger, members, usage, webhooks
from contracts.events.base import EventData
from contracts.types import rfc3339

MAX_PAYLOAD_BYTES: Final = 256 * 1024
ALL: Final = "*"


@dataclass(frozen=True, slots=True)
class EventType:
    """One public event type: `when` (field, values) narrows which of the hub's events it stands for."""

    name: str
    summary: str
    data: type[EventData]
    when: tuple[str, frozenset[str]] | None = None

    def covers(self, data: EventData) -> bool:
        """Whether this is the public type of an event with such data."""
        return self.when is None or getattr(data, self.when[0]) in self.when[1]

    @property
    def example(self) -> dict[str, Any]:
        """The `data` of an example payload, narrowed to this type."""
        example = dict(self.data.EXAMPLE)
        return example | {self.when[0]: min(self.when[1])} if self.when else example


def _only(field: str, *values: str) -> tuple[str, frozenset[str]]:
    return field, frozenset(values)


EVENT_TYPES: Final = (
    EventType("service.completed", "A service was used", usage.UsageRecordedV1, _only("status", "succeeded")),
    EventType(
        "service.failed", "A use of a service failed", usage.UsageRecordedV1, _only("status", "failed", "cancelled")
    ),
    EventType("credits.charged", "Usage was priced and charged", ledger.ChargeBookedV1),
    EventType("credits.purchased", "Credits were bought", ledger.GrantBookedV1, _only("source", "purchase")),
    EventType("credits.refunded", "Credits were given back", ledger.GrantBookedV1, _only("source", "refund")),
    EventType("credits.granted", "Credits were given", ledger.GrantBookedV1),
    EventType("credits.adjusted", "Credits were corrected by a person", ledger.AdjustmentBookedV1),
    EventType("credits.expired", "What was left of a grant ended", ledger.ExpiryBookedV1),
    EventType("credits.low", "The balance fell below the threshold", ledger.BalanceLowV1),
    EventType("credits.depleted", "No credits are left", ledger.BalanceDepletedV1),
    EventType("credits.recovered", "The balance rose above the threshold again", ledger.BalanceRecoveredV1),
    EventType("user.created", "A user was registered", auth.UserRegisteredV1),
    EventType("user.updated", "A user's data changed", auth.UserUpdatedV1),
    EventType("user.verified", "A user proved an e-mail address", auth.UserVerifiedV1),
    EventType("user.deleted", "A user's data was erased", auth.UserErasedV1),
    EventType("user.login", "A user logged in", auth.UserLoggedInV1),
    EventType("user.logout", "A user logged out", auth.UserLoggedOutV1),
    EventType("user.roles_assigned", "A member got a role", members.RoleAssignedV1),
    EventType("webhook.endpoint_disabled", "An endpoint was switched off", webhooks.EndpointDisabledV1),
    EventType("webhook.endpoint_recovered", "An endpoint answers again", webhooks.EndpointRecoveredV1),
)
"""Read from the top: the first that covers an event names it."""

_BY_TYPE: Final = {
    hub_type: tuple(event_type for event_type in EVENT_TYPES if hub_type == event_type.data.TYPE)
    for hub_type in {event_type.data.TYPE for event_type in EVENT_TYPES}
}
BY_NAME: Final = {known.name: known for known in EVENT_TYPES}
NAMES: Final = tuple(event_type.name for event_type in EVENT_TYPES)
PATTERNS: Final = frozenset({ALL, *NAMES, *(f"{name.split('.')[0]}.*" for name in NAMES)})


def public_name(hub_type: str, data: EventData) -> str | None:
    """The name under which subscribers know the event; None when it is not told."""
    return next((known.name for known in _BY_TYPE.get(hub_type, ()) if known.covers(data)), None)


def patterns_of(name: str) -> frozenset[str]:
    """Every pattern that matches the name: itself, its family (`credits.*`) and `*`."""
    return frozenset({name, f"{name.split('.')[0]}.*", ALL})


def matches(patterns: frozenset[str], name: str) -> bool:
    """Whether a subscription to these patterns wants the event."""
    return not patterns.isdisjoint(patterns_of(name))


def unknown_patterns(patterns: list[str], at: str = "/event_types") -> tuple[Problem, ...]:
    """One problem for each pattern that can never match anything, with a JSON pointer below `at`."""
    return tuple(
        Problem(
            at + json_text.pointer(index),
            "unknown_event_type",
            f"{pattern[:64]!r} is not an event type; GET /v1/webhooks/event-types lists them",
        )
        for index, pattern in enumerate(patterns)
        if pattern not in PATTERNS
    )


def payload(name: str, envelope: Envelope, data: EventData) -> str:
    """The body for subscribers, at most 256 KiB: `type`, `timestamp`, `data` (Standard Webhooks 1.0, "Payload").

    `data.event` names the event and what it followed from; free properties of usage stand in `data.properties`.
    A body that would be larger is sent thin: `data.event` alone and `data.thin` true.
    """
    event = _event(envelope)
    full = _body(name, envelope, {**_fields(data), "event": event})
    if len(full) <= MAX_PAYLOAD_BYTES:
        return full.decode()
    return _body(name, envelope, {"event": event, "thin": True}).decode()


def sample(known: EventType, organization: str, event_id: str, source: str, now: datetime) -> str:
    """The body of a test delivery: the type's example, marked with `data.test`."""
    data = known.data.model_validate(known.example)
    event = {"id": event_id, "source": source, "type": known.data.TYPE, "organization": organization}
    body = {"type": known.name, "timestamp": rfc3339(now), "data": {**_fields(data), "event": event, "test": True}}
    return json_text.dump(body).decode()


def _body(name: str, envelope: Envelope, data: dict[str, Any]) -> bytes:
    return json_text.dump({"type": name, "timestamp": rfc3339(envelope.time), "data": data})


def _fields(data: EventData) -> dict[str, Any]:
    free = data.model_extra or {}
    # From where a person acted is theirs: it stands in the trail, and is sealed there.
    fields = data.model_dump(mode="json", exclude_none=True, exclude={*free, "address"})
    return {**fields, "properties": free} if free else fields


def _event(envelope: Envelope) -> dict[str, Any]:
    event: dict[str, Any] = {
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "organization": envelope.organization,
    }
    if envelope.subject is not None:
        event["subject"] = envelope.subject
    if envelope.causesource is not None and envelope.causeid is not None:
        event["cause"] = {"source": envelope.causesource, "id": envelope.causeid}
    return event
