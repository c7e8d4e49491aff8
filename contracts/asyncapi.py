"""The AsyncAPI 3.0 document of the hub's topics, generated from the catalogue."""

from typing import Any, Final

from contracts import catalog, topics
from contracts.envelope import CONTENT_TYPE, MAX_EXTENSIONS
from contracts.events.base import EventData
from contracts.topics import Topic, TopicNames

VERSION: Final = "3.0.0"
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 255}
_INSTANT: Final = {"type": "string", "format": "date-time"}
_SCHEMA_REF: Final = "#/components/schemas/"


def document(version: str, names: TopicNames | None = None, bootstrap: str = "localhost:9092") -> dict[str, Any]:
    """The document: a channel per topic, a message per event type, send and receive per channel."""
    names = names or TopicNames()
    told = [topic for topic in topics.TOPICS if topic is not topics.DEAD_LETTERS]
    host, _, _ = bootstrap.partition(",")
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Smart AI Hub",
            "version": version,
            "description": "Facts about the use of AI services, as CloudEvents 1.0 in structured mode. Key of every"
            " record: the organization id. Identity of an event: (organization, source, id).",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {"kafka": {"host": host, "protocol": "kafka", "description": "The hub's Kafka"}},
        "channels": {_channel_id(topic): _channel(topic, names) for topic in told},
        "operations": {
            f"{action}_{_channel_id(topic)}": _operation(topic, action) for topic in told for action in _ACTIONS
        },
        "components": {
            "messages": {_message_id(cls): _message(cls) for cls in catalog.EVENTS.values()},
            "messageTraits": {"cloudEvent": _TRAIT},
            "schemas": {"envelope": _ENVELOPE, **_data_schemas()},
        },
    }


_ACTIONS: Final = {"send": "The hub writes these facts to", "receive": "A consumer reads these facts from"}


def _events_of(topic: Topic) -> list[type[EventData]]:
    return [cls for cls in catalog.EVENTS.values() if cls.TOPIC is topic]


def _channel_id(topic: Topic) -> str:
    return topic.name.split(".")[1]


def _message_id(cls: type[EventData]) -> str:
    return cls.__name__


def _channel(topic: Topic, names: TopicNames) -> dict[str, Any]:
    return {
        "address": names.of(topic),
        "title": topic.summary,
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {
            _message_id(cls): {"$ref": f"#/components/messages/{_message_id(cls)}"} for cls in _events_of(topic)
        },
        "bindings": {
            "kafka": {
                "topic": names.of(topic),
                "topicConfiguration": {
                    "retention.ms": topic.retention_ms,
                    "max.message.bytes": topic.max_message_bytes,
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operation(topic: Topic, action: str) -> dict[str, Any]:
    channel = _channel_id(topic)
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": f"{_ACTIONS[action]} {topic.name}",
        "messages": [{"$ref": f"#/channels/{channel}/messages/{_message_id(cls)}"} for cls in _events_of(topic)],
    }


def _message(cls: type[EventData]) -> dict[str, Any]:
    data = {"$ref": f"{_SCHEMA_REF}{cls.__name__}"}
    properties = {"type": {"const": cls.TYPE}, "data": data}
    permission = cls.PERMISSION
    return {
        "name": cls.TYPE,
        "title": cls.TYPE,
        "summary": (cls.__doc__ or cls.TYPE).strip().splitlines()[0],
        "description": f"Sent with the permission {permission}." if permission else "Stated by the hub itself.",
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "payload": {"allOf": [{"$ref": f"{_SCHEMA_REF}envelope"}, {"type": "object", "properties": properties}]},
        "examples": [{"name": "example", "payload": _example(cls)}],
    }


def _example(cls: type[EventData]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "evt_0199",
        "source": "urn:example:chat" if cls.PERMISSION else "/hub/ledger",
        "type": cls.TYPE,
        "organization": "org_019ab0c2",
        "time": "2026-11-23T07:30:00.123456Z",
        "acceptedat": "2026-11-23T07:30:00.200000Z",
        "data": cls.EXAMPLE,
    }


_TRAIT: Final[dict[str, Any]] = {
    "contentType": CONTENT_TYPE,
    "headers": {
        "type": "object",
        "properties": {
            "content-type": {"type": "string", "const": CONTENT_TYPE},
            "traceparent": {"type": "string", "description": "W3C trace context, when tracing is on"},
        },
    },
    "bindings": {"kafka": {"key": {"type": "string", "description": "The organization id"}, "bindingVersion": "0.5.0"}},
}

_ENVELOPE: Final[dict[str, Any]] = {
    "type": "object",
    "description": f"CloudEvents 1.0; at most {MAX_EXTENSIONS} extension attributes beside these.",
    "required": ["specversion", "id", "source", "type", "organization", "time", "acceptedat", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": _TEXT,
        "source": _TEXT,
        "type": _TEXT,
        "organization": {**_TEXT, "description": "Tenant; the key of the record"},
        "time": {**_INSTANT, "description": "When it happened"},
        "acceptedat": {**_INSTANT, "description": "When the ingress took it: `now` for every rule"},
        "subject": _TEXT,
        "datacontenttype": {"type": "string"},
        "dataschema": _TEXT,
        "requestid": _TEXT,
        "causesource": {**_TEXT, "description": "`source` of the event that this one follows from"},
        "causeid": {**_TEXT, "description": "`id` of the event that this one follows from"},
        "data": {"type": "object"},
    },
    "additionalProperties": {"type": ["string", "boolean", "integer"]},
}


def _data_schemas() -> dict[str, Any]:
    """The data schema of every event; what they share stands beside them once."""
    schemas: dict[str, Any] = {}
    for cls in catalog.EVENTS.values():
        schema = cls.model_json_schema(ref_template=_SCHEMA_REF + "{model}")
        schemas |= schema.pop("$defs", {})
        schemas[cls.__name__] = schema
    return schemas
