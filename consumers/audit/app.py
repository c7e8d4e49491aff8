"""The consumer of auth events (role `audit`)."""

from typing import Final

from consumers.audit.handlers import Append
from consumers.batch import Record
from consumers.build import build_app
from consumers.runtime import ConsumerApp
from contracts.topics import AUTH
from infra.clock import Clock
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.postgres.database import Database

GROUP: Final = "aihub.audit"
TOPICS: Final = (AUTH,)


def build(database: Database, *, kafka: KafkaOptions, producer: Producer, clock: Clock) -> ConsumerApp[Record]:
    """Auth events from Kafka to the audit trail."""
    return build_app(GROUP, TOPICS, Append(database), kafka=kafka, producer=producer, clock=clock)
