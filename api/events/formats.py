"""How events may be sent: the modes of CloudEvents 1.0 over HTTP, NDJSON, and plain usage.

Source: CloudEvents 1.0.2 HTTP protocol binding (3.1 binary, 3.2 structured, 3.3 batched), JSON event format.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from contracts import json_text
from contracts.envelope import BATCH_CONTENT_TYPE, CONTENT_TYPE
from contracts.errors import Invalid, Malformed, Problem, TooLarge, UnsupportedMediaType
from contracts.events.usage import UsageRecordedV1

NDJSON: Final = "application/x-ndjson"
JSON: Final = "application/json"
ADVICE: Final = (
    "Send CloudEvents as application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson or"
    " in binary mode (ce-* headers); plain usage goes to POST /v1/usage as application/json."
)
USAGE_SOURCE: Final = "/usage"

Item = dict[str, Any] | Malformed
"""One event as sent, or why it cannot be read."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The events of one request. `prefix` leads to them in the body, `data_at` from an event to its data."""

    items: list[Item]
    many: bool
    prefix: str = ""
    data_at: str = "/data"

    def pointer(self, index: int) -> str:
        """Where the event stands in the body."""
        return f"{self.prefix}/{index}" if self.many else ""


def read_events(headers: dict[bytes, bytes], raw: bytes, limit: int) -> Sent:
    """The events of `POST /v1/events`.

    Raises: UnsupportedMediaType, Malformed (nothing in it can be read), Invalid (empty batch), TooLarge (too many).
    """
    media_type, charset = _media_type(headers)
    if charset not in ("", "utf-8", "us-ascii"):
        raise UnsupportedMediaType("Send JSON in UTF-8.")
    if not raw and b"ce-specversion" not in headers:
        raise _malformed("", "empty", "The body is empty; send at least one event.")
    if media_type == CONTENT_TYPE:
        return Sent([_object(json_text.parse(raw))], many=False)
    if media_type == BATCH_CONTENT_TYPE:
        return _bounded(_array(raw, limit, level=0), limit)
    if media_type == NDJSON:
        return _bounded(Sent(_lines(raw, limit), many=True), limit)
    if b"ce-specversion" in headers:
        return Sent([_binary(headers, media_type, raw)], many=False)
    if media_type == JSON:
        return _plain_json(raw, limit)
    raise UnsupportedMediaType(ADVICE)


def read_usage(headers: dict[bytes, bytes], raw: bytes, limit: int) -> Sent:
    """The usage of `POST /v1/usage` as events: an object, an array of them, or `{"events": [...]}`.

    Raises: as read_events.
    """
    media_type, _ = _media_type(headers)
    if media_type not in (JSON, NDJSON):
        raise UnsupportedMediaType('Send usage as application/json (object, array or {"events": [...]}) or NDJSON.')
    if not raw:
        raise _malformed("", "empty", "The body is empty; send at least one usage.")
    if media_type == NDJSON:
        sent = Sent(_lines(raw, limit, level=2), many=True)
    elif raw.lstrip()[:1] == b"[":
        sent = _array(raw, limit, level=1)
    else:
        sent = _usage_object(raw, limit)
    events = [item if isinstance(item, Malformed) else _usage_event(item) for item in sent.items]
    return _bounded(Sent(events, sent.many, sent.prefix, data_at=""), limit)


def _usage_object(raw: bytes, limit: int) -> Sent:
    try:
        value = _object(json_text.parse(raw, level=2))
    except Malformed:
        value = _object(json_text.parse(raw, level=0))
        if "events" not in value:
            raise
    if "events" in value and len(value) == 1:
        if not isinstance(value["events"], list):
            raise _malformed("/events", "list_type", "`events` must be an array.")
        return Sent(_items(value["events"], limit, "/events"), many=True, prefix="/events")
    return Sent([value], many=False)


def _usage_event(usage: dict[str, Any]) -> dict[str, Any]:
    data = dict(usage)
    event = {"specversion": "1.0", "type": UsageRecordedV1.TYPE, "source": data.pop("source", None) or USAGE_SOURCE}
    for name in ("id", "time"):
        if name in data:
            event[name] = data.pop(name)
    event["data"] = data
    return event


def _plain_json(raw: bytes, limit: int) -> Sent:
    """application/json is taken when it plainly is CloudEvents."""
    if raw.lstrip()[:1] == b"[":
        sent = _bounded(_array(raw, limit, level=0), limit)
        events = [item for item in sent.items if isinstance(item, dict)]
        if all("specversion" in event for event in events):
            return sent
        raise UnsupportedMediaType(ADVICE)
    value = json_text.parse(raw)
    if isinstance(value, dict) and "specversion" in value:
        return Sent([value], many=False)
    raise UnsupportedMediaType(ADVICE)


def _array(raw: bytes, limit: int, level: int) -> Sent:
    """The elements of a JSON array; when the whole cannot be read, each on its own."""
    try:
        value = json_text.parse(raw, level)
    except Malformed as error:
        return Sent(_elements(raw, limit, level + 1, error), many=True)
    if not isinstance(value, list):
        raise _malformed("", "list_type", "The body must be a JSON array of events.")
    return Sent(_items(value, limit), many=True)


def _items(values: list[Any], limit: int, at: str = "") -> list[Item]:
    """The limit comes first: what stands for a fault is a hundred times as large as the `0,` that makes it."""
    if len(values) > limit:
        raise _too_many(limit, at)
    return [_object_or_fault(value) for value in values]


_GAP = re.compile(r"[ \t\r\n]*")


def _elements(raw: bytes, limit: int, level: int, fault: Malformed) -> list[Item]:
    """Every element that is JSON by shape, read strictly by itself.

    Raises: `fault` when not even the array is; TooLarge at the first element beyond the limit.
    """
    text = raw.decode("utf-8", "surrogateescape")
    decoder = json.JSONDecoder(parse_int=len)
    items: list[Item] = []
    place = _GAP.match(text, 0).end()  # type: ignore[union-attr]
    if text[place : place + 1] != "[":
        raise fault
    while text[place : place + 1] != "]":
        if len(items) == limit:
            raise _too_many(limit)
        start = _GAP.match(text, place + 1).end()  # type: ignore[union-attr]
        try:
            _, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            raise fault from None
        items.append(_strictly(text[start:end].encode("utf-8", "surrogateescape"), level))
        place = _GAP.match(text, end).end()  # type: ignore[union-attr]
        if text[place : place + 1] not in ("]", ","):
            raise fault
    if text[place + 1 :].strip(" \t\r\n"):
        raise fault
    return items


def _lines(raw: bytes, limit: int, level: int = 1) -> list[Item]:
    lines = [line for line in raw.split(b"\n") if line.strip()]
    if len(lines) > limit:
        raise _too_many(limit)
    return [_strictly(line, level) for line in lines]


def _strictly(raw: bytes, level: int) -> Item:
    try:
        return _object(json_text.parse(raw, level))
    except Malformed as error:
        return error


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _malformed("", "object_type", "An event must be a JSON object.")
    return value


def _object_or_fault(value: Any) -> Item:
    return value if type(value) is dict else _malformed("", "object_type", "An event must be a JSON object.")


def _binary(headers: dict[bytes, bytes], media_type: str, raw: bytes) -> dict[str, Any]:
    """Attributes from ce-* headers, percent-decoded (3.1.3.2); the body is the data."""
    if raw and media_type not in ("", JSON) and not media_type.endswith("+json"):
        raise UnsupportedMediaType("The data of an event in binary mode must be JSON: Content-Type: application/json.")
    event: dict[str, Any] = {}
    for name, value in headers.items():
        if name.startswith(b"ce-"):
            event[name[3:].decode("latin-1")] = _header_text(name, value)
    event.pop("datacontenttype", None)
    for reserved in ("data", "data_base64"):
        if reserved in event:
            raise _malformed(f"/header/ce-{reserved}", "reserved", "The data goes into the body.")
    if raw:
        event["data"] = json_text.parse(raw, level=2)
        event["datacontenttype"] = media_type or None
    return event


def _header_text(name: bytes, value: bytes) -> str:
    value = value.strip()
    if len(value) >= 2 and value[:1] == value[-1:] == b'"':
        value = re.sub(rb"\\(.)", rb"\1", value[1:-1])
    try:
        return unquote_to_bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        at = f"/header/{name.decode('latin-1')}"
        raise _malformed(at, "utf8", f"The header {name.decode('latin-1')} is not percent-encoded UTF-8.") from None


def _media_type(headers: dict[bytes, bytes]) -> tuple[str, str]:
    """Media type and charset, in lower case."""
    media_type, _, rest = headers.get(b"content-type", b"").decode("latin-1").lower().partition(";")
    found = re.search(r'charset\s*=\s*"?([^\s;"]+)', rest) if rest else None
    return media_type.strip(), found[1] if found else ""


def _bounded(sent: Sent, limit: int) -> Sent:
    if not sent.items:
        problem = Problem(sent.prefix, "too_short", "holds no event")
        raise Invalid("The request holds no event; send at least one.", problems=(problem,))
    if len(sent.items) > limit:
        raise _too_many(limit, sent.prefix)
    return sent


def _too_many(limit: int, at: str = "") -> TooLarge:
    problem = Problem(at, "too_many", f"holds more than {limit} events")
    return TooLarge(f"The request holds more than {limit:,} events; send at most {limit:,}.", problems=(problem,))


def _malformed(at: str, code: str, message: str) -> Malformed:
    return Malformed(message, problems=(Problem(at, code, message),))
