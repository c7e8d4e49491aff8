"""Events into the log, awaited."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from contracts import catalog
from contracts.envelope import CONTENT_TYPE, Envelope
from contracts.topics import Topic
from infra.kafka.producer import Placed, Producer
from infra.telemetry import tracing

CONTENT_TYPE_HEADER: Final = ("content-type", CONTENT_TYPE.encode())


class Receipt(NamedTuple):
    """Where an event stands: proof that it was acknowledged."""

    event_id: str
    topic: str
    partition: int
    offset: int
    accepted_at: datetime


def record_headers(traceparent: str | None = None) -> list[tuple[str, bytes]]:
    """The headers of a structured-mode CloudEvents record, with the given or the current trace context.

    Standard: CloudEvents Kafka protocol binding 1.0.2, section 3.3; W3C Trace Context.
    """
    trace = [("traceparent", traceparent.encode())] if traceparent else tracing.current_headers()
    return [CONTENT_TYPE_HEADER, *trace]


class Publisher:
    """Publishes facts that belong to no row: whoever writes a row uses the outbox."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    async def publish(self, envelopes: Sequence[Envelope]) -> list[Receipt]:
        """One receipt an envelope, in the same order, when all are acknowledged.

        Events of one organization and topic stay in order and together. When it raises, some may have been written:
        publish the same envelopes again, their identities make it one effect.
        Raises: BrokerUnavailable within 5 s; Overloaded; TooLarge.
        """
        groups: dict[tuple[Topic, str], list[int]] = defaultdict(list)
        for index, envelope in enumerate(envelopes):
            groups[catalog.EVENTS[envelope.type].TOPIC, envelope.organization].append(index)
        headers = record_headers()
        placed = await asyncio.gather(
            *(
                self._producer.send(topic, key, [catalog.encode(envelopes[index]) for index in indexes], headers)
                for (topic, key), indexes in groups.items()
            )
        )
        receipts: dict[int, Receipt] = {}
        for (topic, _), indexes, place in zip(groups, groups.values(), placed, strict=True):
            receipts |= zip(indexes, _receipts([envelopes[index] for index in indexes], topic, place), strict=True)
        return [receipts[index] for index in range(len(envelopes))]


def _receipts(envelopes: Sequence[Envelope], topic: Topic, place: Placed) -> list[Receipt]:
    return [
        Receipt(envelope.id, topic.name, place.partition, offset, envelope.acceptedat)
        for envelope, offset in zip(envelopes, place.offsets, strict=True)
    ]
