"""The consumer of dead letters (role `deadletters`)."""

from typing import Final

from consumers.build import build_raw_app
from consumers.deadletters.handlers import Store
from consumers.runtime import ConsumerApp
from contracts.topics import DEAD_LETTERS
from infra.clock import Clock
from infra.kafka.log import LogRecord
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.postgres.database import Database

GROUP: Final = "aihub.deadletters"
TOPICS: Final = (DEAD_LETTERS,)


def build(database: Database, *, kafka: KafkaOptions, producer: Producer, clock: Clock) -> ConsumerApp[LogRecord]:
    """Dead letters from Kafka to PostgreSQL; it parks nothing itself."""
    return build_raw_app(GROUP, TOPICS, Store(database), kafka=kafka, producer=producer, clock=clock, max_records=200)
