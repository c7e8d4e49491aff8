"""The hand-written OpenAPI operations of the hot path."""

from typing import Any, Final

from contracts.envelope import BATCH_CONTENT_TYPE, CONTENT_TYPE
from contracts.events.usage import UsageRecordedV1

_EVENT: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "evt_0199",
    "source": "urn:example:chat",
    "type": UsageRecordedV1.TYPE,
    "time": "2026-11-23T07:30:00.123456Z",
    "data": UsageRecordedV1.EXAMPLE,
}
_RECEIPT: Final[dict[str, Any]] = {
    "topic": "aihub.usage.v1",
    "partition": 3,
    "offset": 4711,
    "accepted_at": "2026-11-23T07:30:00.200000Z",
}
_ANSWER: Final[dict[str, Any]] = {
    "data": {
        "accepted": 1,
        "duplicates": 0,
        "rejected": 1,
        "results": [
            {"index": 0, "id": "evt_0199", "status": "accepted", "receipt": _RECEIPT, "id_generated": False},
            {
                "index": 1,
                "id": "evt_0200",
                "status": "rejected",
                "code": "invalid",
                "message": "The data does not fit usage.recorded.v1.",
                "problems": [
                    {
                        "pointer": "/data/input_tokens",
                        "code": "greater_than_equal",
                        "message": "Input should be greater than or equal to 0",
                    }
                ],
            },
        ],
    },
    "meta": {"timestamp": "2026-11-23T07:30:00.204000Z", "request_id": "req_019ab0c2f3e47d5a8b1c2d3e4f506172"},
}

_OBJECT: Final = {"type": "object", "additionalProperties": True}
_PROBLEM: Final = {"$ref": "#/components/schemas/Detail"}
_RESULT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["index", "id", "status"],
    "properties": {
        "index": {"type": "integer", "description": "Place in the request, from 0"},
        "id": {"type": ["string", "null"]},
        "status": {"enum": ["accepted", "duplicate", "rejected"]},
        "id_generated": {"type": "boolean", "description": "The event had no id: the server made this one"},
        "receipt": {
            "type": "object",
            "required": ["topic", "partition", "offset", "accepted_at"],
            "properties": {
                "topic": {"type": "string"},
                "partition": {"type": "integer"},
                "offset": {"type": "integer"},
                "accepted_at": {"type": "string", "format": "date-time"},
            },
        },
        "code": {"type": "string"},
        "message": {"type": "string"},
        "problems": {"type": "array", "items": _PROBLEM},
    },
}
SCHEMAS: Final[dict[str, Any]] = {
    "EventResult": _RESULT,
    "EventsAnswer": {
        "type": "object",
        "required": ["data", "meta"],
        "properties": {
            "data": {
                "type": "object",
                "required": ["accepted", "duplicates", "rejected", "results"],
                "properties": {
                    "accepted": {"type": "integer"},
                    "duplicates": {"type": "integer"},
                    "rejected": {"type": "integer"},
                    "results": {"type": "array", "items": {"$ref": "#/components/schemas/EventResult"}},
                },
            },
            "meta": {"$ref": "#/components/schemas/Meta"},
        },
    },
    "CloudEvent": {
        "type": "object",
        "required": ["specversion", "source", "type"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "maxLength": 255, "description": "None: the server makes one and says so"},
            "source": {"type": "string", "format": "uri-reference", "maxLength": 255},
            "type": {"type": "string", "description": "See /v1/asyncapi.json"},
            "time": {"type": "string", "format": "date-time", "description": "At most 1 h ahead and 5 years back"},
            "subject": {"type": "string", "maxLength": 255},
            "organization": {"type": "string", "description": "Your own, unless the key may act for any"},
            "datacontenttype": {"type": "string"},
            "dataschema": {"type": "string"},
            "data": _OBJECT,
        },
        "additionalProperties": {"type": ["string", "boolean", "integer", "null"]},
        "example": _EVENT,
    },
    "Usage": {
        **{k: v for k, v in UsageRecordedV1.model_json_schema().items() if k in ("type", "required", "description")},
        "properties": {
            "id": {"type": "string", "maxLength": 255},
            "source": {"type": "string", "default": "/usage"},
            "time": {"type": "string", "format": "date-time"},
            **UsageRecordedV1.model_json_schema()["properties"],
        },
        "example": {"id": "evt_0199", **UsageRecordedV1.EXAMPLE},
    },
}

_ONE: Final = {"$ref": "#/components/schemas/CloudEvent"}
_USAGE: Final = {"$ref": "#/components/schemas/Usage"}
_PARAMETERS: Final[list[dict[str, Any]]] = [
    {
        "name": "atomic",
        "in": "query",
        "schema": {"type": "boolean", "default": False},
        "description": "true: one bad event refuses all of them",
    }
]


def _operation(summary: str, description: str, operation_id: str, content: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": ["events"],
        "summary": summary,
        "description": description,
        "operationId": operation_id,
        "parameters": _PARAMETERS,
        "requestBody": {"required": True, "content": content},
        "responses": {
            "202": {
                "description": "Kept: the broker has acknowledged what is `accepted`. Each event has its own result.",
                "content": {
                    "application/json": {
                        "schema": {"$ref": "#/components/schemas/EventsAnswer"},
                        "example": _ANSWER,
                    }
                },
            }
        },
        "x-errors": [400, 408, 409, 413, 415, 422],
        "x-idempotent": True,
    }


EVENTS_OPERATION: Final = _operation(
    "Send CloudEvents",
    "CloudEvents 1.0, 1 to 1,000 events and at most 5 MB: structured, batch, binary (ce-* headers) or NDJSON. One bad"
    " event never refuses the others, unless `?atomic=true`. The answer comes after the broker's acknowledgement.",
    "events_send",
    {
        CONTENT_TYPE: {"schema": _ONE, "example": _EVENT},
        BATCH_CONTENT_TYPE: {"schema": {"type": "array", "items": _ONE, "minItems": 1, "maxItems": 1000}},
        "application/x-ndjson": {"schema": {"type": "string", "description": "One event a line"}},
        "application/json": {
            "schema": {"anyOf": [_ONE, {"type": "array", "items": _ONE}, _OBJECT]},
            "example": _EVENT,
        },
    },
)
USAGE_OPERATION: Final = _operation(
    "Send usage as plain JSON",
    "The same as an event of type usage.recorded.v1 without its envelope; `id`, `source` and `time` are optional.",
    "usage_send",
    {
        "application/json": {
            "schema": {
                "anyOf": [
                    _USAGE,
                    {"type": "array", "items": _USAGE},
                    {"type": "object", "properties": {"events": {"type": "array", "items": _USAGE}}},
                ]
            },
            "example": {"id": "evt_0199", **UsageRecordedV1.EXAMPLE},
        },
        "application/x-ndjson": {"schema": {"type": "string", "description": "One usage a line"}},
    },
)
