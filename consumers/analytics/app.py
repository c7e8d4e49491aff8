"""The analytics consumer: a FastStream application that writes usage and charges to ClickHouse."""

import asyncio
from typing import Final

from consumers.analytics.handlers import TOPICS, Sink
from consumers.batch import undecoded
from consumers.runtime import ConsumerApp
from infra.clickhouse.client import ClickHouse
from infra.clock import Clock
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.kafka.subscriber import Tuning

NAME: Final = "aihub.analytics"
TUNING: Final = Tuning(max_records=10_000, fetch_bytes=8 * 1024 * 1024)
"""Large batches are what ClickHouse is fast with."""


class AnalyticsConsumer:
    """The consumer and its sink: `app` is its FastStream application, `progress` what health is told of it."""

    def __init__(self, sink: Sink, *, kafka: KafkaOptions, producer: Producer, clock: Clock, tuning: Tuning) -> None:
        self.sink = sink
        self._consumer = ConsumerApp(
            NAME,
            TOPICS,
            sink.handle,
            undecoded,
            kafka=kafka,
            producer=producer,
            clock=clock,
            on_assign=sink.resume,
            tuning=tuning,
            ahead=sink.ahead,
        )
        self.app = self._consumer.app
        self.progress = self._consumer.progress

    async def run(self, stop: asyncio.Event) -> None:
        """The role: consumes until `stop` is set, going on where the sink has got to. Raises what stops it."""
        try:
            await self._consumer.run(stop)
        finally:
            await self.sink.close()


def build(
    clickhouse: ClickHouse, *, kafka: KafkaOptions, producer: Producer, clock: Clock, tuning: Tuning = TUNING
) -> AnalyticsConsumer:
    """The consumer that writes to this ClickHouse."""
    return AnalyticsConsumer(Sink(clickhouse), kafka=kafka, producer=producer, clock=clock, tuning=tuning)
