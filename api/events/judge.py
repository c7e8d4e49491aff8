"""Decides about one event: what goes to Kafka, or why it is refused. No I/O."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from pydantic import ValidationError

from api.core.principal import Principal
from contracts import catalog, json_text
from contracts.envelope import MAX_EXTENSIONS, body_hash
from contracts.errors import AihubError, Invalid, PermissionDenied, Problem
from contracts.events.base import SYSTEM_SOURCE, EventData
from contracts.topics import Topic
from contracts.types import rfc3339
from infra.ids import new_id

AHEAD: Final = timedelta(hours=1)
BACK: Final = timedelta(days=5 * 365 + 2)
ANY_ORGANIZATION: Final = "system:any_organization"

_KNOWN: Final = frozenset(
    ("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data", "organization")
)
_OURS: Final = frozenset(("acceptedat", "requestid", "causesource", "causeid"))
_NAME = re.compile(r"[a-z0-9]{1,20}")
_TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,255}")
_LONG_TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f]{0,1024}")
_URI_REFERENCE = re.compile(r"[^\x00-\x20\x7f-\x9f<>\"{}|\\^`]{1,255}")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_JSON_TYPE = re.compile(r"(?:application|text)/(?:[\w.!#$&^-]+\+)?json(?:\s*;.*)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Accepted:
    """An event that may go to Kafka: `value` is the record."""

    topic: Topic
    organization: str
    source: str
    id: str
    id_generated: bool
    event: dict[str, Any]
    value: bytes

    @property
    def body_hash(self) -> bytes:
        """What must be the same when the identity comes again."""
        return body_hash(self.event["type"], self.event.get("subject"), self.event["data"])


class Judge:
    """Judges the events of one request: who sends them, and when."""

    def __init__(
        self, who: Principal, now: datetime, request_id: str, *, data_at: str, organizations: frozenset[str]
    ) -> None:
        """`organizations`: those that exist, of the ones that a sender for any organization named."""
        self._who = who
        self._data_at = data_at
        self._organizations = organizations
        self._request_id = request_id
        self._earliest = now - BACK
        self._latest = now + AHEAD
        self.accepted_at = rfc3339(now)
        self._allowed: dict[str, type[EventData]] = {}

    def judge(self, sent: dict[str, Any], made_id: str | None = None) -> Accepted:
        """The event as it goes to Kafka; `made_id` is used when it has none.

        Raises: Invalid, PermissionDenied, both with JSON pointers into the event.
        """
        if sent.get("specversion") != "1.0":
            raise _invalid("/specversion", "specversion", 'must be "1.0"')
        cls = self._class_of(sent.get("type"))
        event_id = sent.get("id")
        generated = event_id is None
        if generated:
            event_id = made_id or new_id("evt")
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": event_id if generated else _text(event_id, "/id"),
            "source": self._source(sent.get("source")),
            "type": cls.TYPE,
            "organization": self._organization(sent.get("organization")),
            "time": self._time(sent.get("time")),
            "acceptedat": self.accepted_at,
            "requestid": self._request_id,
        }
        if not sent.keys() <= _ALWAYS:
            _optional(sent, event)
        data = event["data"] = sent.get("data", {})
        self._check(cls, data)
        value = orjson.dumps(event)
        return Accepted(cls.TOPIC, event["organization"], event["source"], event["id"], generated, event, value)

    def _class_of(self, event_type: Any) -> type[EventData]:
        """The data class of the type, when the sender may state it."""
        if type(event_type) is not str:
            raise _invalid("/type", "string_type" if event_type is not None else "missing", "must be an event type")
        cls = self._allowed.get(event_type)
        if cls is not None:
            return cls
        cls = catalog.EVENTS.get(event_type)
        if cls is None:
            raise _invalid("/type", "unknown_type", "is not an event type of this hub; see /v1/asyncapi.json")
        if cls.PERMISSION is None:
            raise _denied("/type", f"{event_type} is stated by the hub itself and cannot be sent.")
        if not self._who.may(cls.PERMISSION):
            raise _denied("/type", f"This key lacks the permission {cls.PERMISSION}, which {event_type} needs.")
        self._allowed[event_type] = cls
        return cls

    def _organization(self, organization: Any) -> str:
        own = self._who.organization_id
        if organization is None or organization == own:
            return own
        if not self._who.may(ANY_ORGANIZATION):
            raise _denied("/organization", "This key may send events of its own organization only.")
        if organization not in self._organizations:
            raise _invalid("/organization", "unknown_organization", "is not an organization")
        return str(organization)

    def _source(self, source: Any) -> str:
        if type(source) is not str or not _URI_REFERENCE.fullmatch(source):
            code = "missing" if source is None else "uri_reference"
            raise _invalid("/source", code, "must be a URI reference of 1 to 255 characters")
        if source == SYSTEM_SOURCE or source.startswith(SYSTEM_SOURCE + "/"):
            raise _invalid("/source", "reserved_source", f"must not lie below {SYSTEM_SOURCE}: that is the hub's own")
        return source

    def _time(self, time: Any) -> str:
        """The time in UTC to the microsecond, as Kafka's records have it."""
        if time is None:
            return self.accepted_at
        instant = _instant(time)
        if instant > self._latest:
            raise _invalid("/time", "time_ahead", "is more than an hour ahead; check the sender's clock")
        if instant < self._earliest:
            raise _invalid("/time", "time_back", "is more than five years back; check the sender's clock")
        return time if len(time) == 27 and time[-1] == "Z" and time[10] == "T" else rfc3339(instant)

    def _check(self, cls: type[EventData], data: Any) -> None:
        if type(data) is not dict:
            raise _invalid(self._data_at, "object_type", "must be a JSON object")
        try:
            cls.__pydantic_validator__.validate_python(data)
        except ValidationError as error:
            problems = catalog.problems(error, self._data_at)
            raise Invalid(f"The data does not fit {cls.TYPE}.", problems=problems) from None


_ALWAYS: Final = _KNOWN - {"subject", "datacontenttype", "dataschema"}


def _optional(sent: dict[str, Any], event: dict[str, Any]) -> None:
    """Takes over what few events have: subject, schema, content type, extension attributes. null means not set."""
    for name in sent.keys() - _ALWAYS:
        value = sent[name]
        if value is None:
            continue
        if name == "subject":
            value = _text(value, "/subject")
        elif name == "dataschema":
            value = _text(value, "/dataschema")
        elif name == "datacontenttype":
            _json_content_type(value)
        else:
            _extension(name, value)
        event[name] = value
    if len(event.keys() - _KNOWN - _OURS) > MAX_EXTENSIONS:
        raise _invalid("", "too_many_extensions", f"has more than {MAX_EXTENSIONS} extension attributes")


def _extension(name: str, value: Any) -> None:
    """Naming and types of CloudEvents 1.0.2, 3.1 and 3.2: Boolean, 32-bit Integer, String."""
    at = json_text.pointer(name)
    if name in _OURS:
        raise _invalid(at, "reserved_attribute", "is set by the hub; leave it out")
    if name == "data_base64":
        raise _invalid(at, "binary_data", "is not taken; send JSON in `data`")
    if not _NAME.fullmatch(name):
        raise _invalid(at, "attribute_name", "must be named with 1 to 20 of a-z and 0-9; free properties go into data")
    if type(value) is str:
        if not _LONG_TEXT.fullmatch(value):
            raise _invalid(at, "attribute_value", "must have at most 1024 characters and no control characters")
    elif type(value) is int:
        if not -(2**31) <= value < 2**31:
            raise _invalid(at, "attribute_value", "must be a 32-bit integer")
    elif type(value) is not bool:
        raise _invalid(at, "attribute_type", "must be a string, a boolean or an integer")


def _json_content_type(value: Any) -> None:
    if type(value) is not str or len(value) > 255 or not _JSON_TYPE.fullmatch(value):
        raise _invalid("/datacontenttype", "datacontenttype", "must be a JSON media type such as application/json")


def _text(value: Any, at: str) -> str:
    if type(value) is not str or not _TEXT.fullmatch(value):
        raise _invalid(at, "string", "must be a string of 1 to 255 characters without control characters")
    return value


def _instant(time: Any) -> datetime:
    if type(time) is str and _RFC3339.fullmatch(time):
        try:
            return datetime.fromisoformat(time.upper())
        except (ValueError, OverflowError):
            pass
    raise _invalid("/time", "rfc3339", "must be a time with zone such as 2026-11-23T07:30:00Z (RFC 3339)")


def _invalid(at: str, code: str, message: str) -> AihubError:
    where = at or "The event"
    return Invalid(f"{where} {message}.", problems=(Problem(at, code, message),))


def _denied(at: str, message: str) -> AihubError:
    return PermissionDenied(message, problems=(Problem(at, "permission_denied", message),))
