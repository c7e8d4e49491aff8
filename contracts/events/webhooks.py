"""Webhooks: what happened to endpoints, and the public names that subscribers use."""

from typing import Any, ClassVar

from contracts import topics
from contracts.events.base import EventData
from contracts.types import Count, LongText, Text


class WebhookFact(EventData):
    """Base of the operational events of an endpoint."""

    TOPIC: ClassVar = topics.WEBHOOKS

    endpoint_id: Text
    url: LongText


class EndpointDisabledV1(WebhookFact):
    """An endpoint was switched off: it answered 410, or failed for days. Its events are kept."""

    TYPE: ClassVar[str] = "webhook.endpoint.disabled.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "endpoint_id": "we_019ab0c2",
        "url": "https://example.com/hook",
        "reason": "answered 410 Gone",
        "failures": 1,
    }

    reason: LongText
    failures: Count = 0


class EndpointRecoveredV1(WebhookFact):
    """An endpoint that had failed answers again."""

    TYPE: ClassVar[str] = "webhook.endpoint.recovered.v1"
    EXAMPLE: ClassVar[dict[str, Any]] = {"endpoint_id": "we_019ab0c2", "url": "https://example.com/hook"}
