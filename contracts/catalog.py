"""The catalogue of events: type string to class and topic; decode, encode."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from contracts import json_text
from contracts.envelope import Envelope
from contracts.errors import InvalidRecord, Malformed, Problem, UnreadableRecord
from contracts.events import auth, credits, ledger, members, usage, webhooks
from contracts.events.base import EventData
from contracts.types import rfc3339

EVENTS: Final[dict[str, type[EventData]]] = {
    cls.TYPE: cls
    for cls in (
        usage.UsageRecordedV1,
        credits.CreditsGrantedV1,
        credits.CreditsPurchasedV1,
        credits.CreditsRefundedV1,
        credits.CreditsAdjustedV1,
        auth.KeyCreatedV1,
        auth.KeyRevokedV1,
        auth.UserRegisteredV1,
        auth.UserLoggedInV1,
        auth.LoginFailedV1,
        auth.PermissionDeniedV1,
        auth.KeyRotatedV1,
        auth.KeyChangedV1,
        auth.KeyUsedFirstV1,
        auth.UserVerifiedV1,
        auth.UserUpdatedV1,
        auth.UserErasedV1,
        auth.UserLoggedOutV1,
        auth.UserLockedV1,
        auth.SessionStartedV1,
        auth.SessionElevatedV1,
        auth.SessionRevokedV1,
        auth.RefreshReusedV1,
        auth.FactorEnrolledV1,
        auth.FactorRemovedV1,
        auth.FactorFailedV1,
        auth.IdentityLinkedV1,
        auth.IdentityUnlinkedV1,
        members.OrganizationCreatedV1,
        members.OrganizationChangedV1,
        members.MemberInvitedV1,
        members.MemberJoinedV1,
        members.MemberRemovedV1,
        members.OwnerChangedV1,
        members.RoleAssignedV1,
        members.RoleUnassignedV1,
        members.RoleCreatedV1,
        members.RoleChangedV1,
        members.RoleDeletedV1,
        members.TeamCreatedV1,
        members.TeamChangedV1,
        members.TeamDeletedV1,
        ledger.ChargeBookedV1,
        ledger.GrantBookedV1,
        ledger.AdjustmentBookedV1,
        ledger.ExpiryBookedV1,
        ledger.ModelUnpricedV1,
        ledger.BalanceLowV1,
        ledger.BalanceDepletedV1,
        ledger.BalanceRecoveredV1,
        webhooks.EndpointDisabledV1,
        webhooks.EndpointRecoveredV1,
    )
}


# What `model_validate` comes down to, without a Python frame an event (0.8 us each).
_read_envelope: Final = Envelope.__pydantic_validator__.validate_python
_READERS: Final[dict[str, Callable[[Any], EventData]]] = {
    event_type: cls.__pydantic_validator__.validate_python for event_type, cls in EVENTS.items()
}
_FAMILIES: Final = {event_type: cls.TOPIC.name.split(".")[1] for event_type, cls in EVENTS.items()}


def family(event_type: str) -> str:
    """The topic's family name of an event type: usage, credits, auth, ledger or webhooks."""
    return _FAMILIES[event_type]


def encode(envelope: Envelope) -> bytes:
    """The envelope as it stands on Kafka."""
    return envelope.model_dump_json(exclude_none=True).encode()


def state(
    data: EventData,
    *,
    event_id: str,
    source: str,
    organization: str,
    now: datetime,
    subject: str | None = None,
    cause: Envelope | None = None,
) -> Envelope:
    """The envelope of a fact that the hub itself states, following from `cause`."""
    return Envelope(
        id=event_id,
        source=source,
        type=data.TYPE,
        organization=organization,
        time=now,
        acceptedat=now,
        subject=subject,
        requestid=cause.requestid if cause else None,
        causesource=cause.source if cause else None,
        causeid=cause.id if cause else None,
        data=data.model_dump(mode="json", exclude_none=True),
    )


def decode(raw: bytes) -> tuple[Envelope, EventData]:
    """The envelope and its checked data.

    Raises: UnreadableRecord (not JSON, not an envelope, unknown type), InvalidRecord (data breaks its contract).
    """
    try:
        envelope: Envelope = _read_envelope(json_text.parse(raw))
    except Malformed as error:
        raise UnreadableRecord(error.message, problems=error.problems) from None
    except ValidationError as error:
        raise UnreadableRecord("The record is not a CloudEvents envelope.", problems=problems(error)) from None
    return envelope, check(envelope.type, envelope.data)


def check(event_type: str, data: dict[str, Any], at: str = "/data") -> EventData:
    """The data as its class. Raises: UnreadableRecord for an unknown type, InvalidRecord with pointers below `at`."""
    read = _READERS.get(event_type)
    if read is None:
        problem = Problem("/type", "unknown_type", f"unknown event type {event_type!r}")
        raise UnreadableRecord(f"Unknown event type {event_type!r}.", problems=(problem,))
    try:
        return read(data)
    except ValidationError as error:
        raise InvalidRecord(f"The data does not fit {event_type}.", problems=problems(error, at)) from None


def problems(error: ValidationError, at: str = "") -> tuple[Problem, ...]:
    """Pydantic's findings as problems with JSON pointers; at most 20, the input itself left out."""
    found: Iterable[Any] = error.errors(include_url=False, include_input=False, include_context=False)[:20]
    return tuple(Problem(at + json_text.pointer(*item["loc"]), item["type"], item["msg"]) for item in found)


__all__ = ["EVENTS", "check", "decode", "encode", "family", "problems", "rfc3339", "state"]
