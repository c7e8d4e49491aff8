"""Makes consumers: of decoded events, or of records as they are."""

from collections.abc import Sequence

from consumers.batch import Handler, Record, decoded, undecoded
from consumers.parking import MAX_IN_A_ROW
from consumers.runtime import ConsumerApp
from contracts.topics import Topic
from infra.clock import Clock
from infra.kafka.log import LogRecord
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.kafka.subscriber import OnAssign, Tuning


def build_app(
    name: str,
    topics: Sequence[Topic],
    handler: Handler[Record],
    *,
    kafka: KafkaOptions,
    producer: Producer,
    clock: Clock,
    max_records: int = 1_000,
    on_assign: OnAssign | None = None,
    tuning: Tuning | None = None,
    max_dead_letters: int = MAX_IN_A_ROW,
    beside: ConsumerApp[Record] | None = None,
) -> ConsumerApp[Record]:
    """A consumer of decoded events; `name` is also its consumer group.

    `on_assign` is for a sink that keeps its own offsets: given the (topic, partition) pairs that are now its own, it
    answers where to go on in those that it knows; nothing is handed over before.
    """
    return ConsumerApp(
        name,
        topics,
        handler,
        decoded,
        kafka=kafka,
        producer=producer,
        clock=clock,
        on_assign=on_assign,
        tuning=tuning or Tuning(max_records=max_records),
        max_dead_letters=max_dead_letters,
        beside=beside,
    )


def build_raw_app(
    name: str,
    topics: Sequence[Topic],
    handler: Handler[LogRecord],
    *,
    kafka: KafkaOptions,
    producer: Producer,
    clock: Clock,
    max_records: int = 1_000,
    tuning: Tuning | None = None,
) -> ConsumerApp[LogRecord]:
    """A consumer of records as they are, readable or not."""
    return ConsumerApp(
        name,
        topics,
        handler,
        undecoded,
        kafka=kafka,
        producer=producer,
        clock=clock,
        tuning=tuning or Tuning(max_records=max_records),
    )
