"""The CloudEvents 1.0 envelope, as it stands on Kafka (structured mode, JSON format).

Source: CloudEvents 1.0.2 specification and its JSON event format. Extension attributes of ours:
`organization` (tenant, also the Kafka key), `acceptedat` (when the ingress took it), `requestid`,
`causesource` and `causeid` (the event that this one follows from).
"""

import hashlib
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contracts import json_text
from contracts.types import Instant, Text

CONTENT_TYPE: Final = "application/cloudevents+json"
BATCH_CONTENT_TYPE: Final = "application/cloudevents-batch+json"
MAX_EXTENSIONS: Final = 16
_PLAIN: Final = frozenset((str, int, bool, type(None)))

AttributeName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,20}$")]


class Envelope(BaseModel):
    """One event: the attributes of CloudEvents, ours, and `data` still unchecked (see contracts.catalog)."""

    model_config = ConfigDict(frozen=True, extra="allow")

    specversion: Literal["1.0"] = "1.0"
    id: Text
    source: Text
    type: Text
    organization: Text
    time: Instant
    acceptedat: Instant
    subject: Text | None = None
    datacontenttype: str | None = None
    dataschema: Text | None = None
    requestid: Text | None = None
    causesource: Text | None = None
    causeid: Text | None = None
    data: dict[str, Any] = Field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes it the same event again: organization, source and id; never its time."""
        return (self.organization, self.source, self.id)


def identity_hash(organization: str, source: str, event_id: str) -> bytes:
    """16 bytes that stand for an identity where a fixed width is wanted (BLAKE2b-128)."""
    text = f"{len(organization)}:{organization}{len(source)}:{source}{event_id}"
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def body_hash(event_type: str, subject: str | None, data: dict[str, Any]) -> bytes:
    """16 bytes that tell whether the same identity came with the same body.

    Covers type, subject and data with keys in order; not the time, nor anything that the server adds.
    """
    if _PLAIN.issuperset(map(type, data.values())):
        text = json_text.dump_plain([event_type, subject, data])
    else:
        text = json_text.dump([event_type, subject, _in_order(data)])
    return hashlib.blake2b(text, digest_size=16).digest()


def _in_order(value: Any) -> Any:
    if isinstance(value, dict):
        if _PLAIN.issuperset(map(type, value.values())):
            return {key: value[key] for key in sorted(value)}
        return {key: _in_order(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_in_order(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def hour_of(instant: datetime) -> datetime:
    """The start of the instant's hour in UTC: the window that reconcile compares."""
    return instant.replace(minute=0, second=0, microsecond=0)
