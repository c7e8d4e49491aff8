"""The fan-out consumer (role `webhooks`)."""

from typing import Final

from consumers.batch import Record
from consumers.build import build_app
from consumers.runtime import ConsumerApp
from consumers.webhooks.handlers import FanOut
from contracts.topics import AUTH, LEDGER, USAGE, WEBHOOKS
from infra.clock import Clock
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.postgres.database import Database

GROUP: Final = "aihub.webhooks"
TOPICS: Final = (USAGE, LEDGER, AUTH, WEBHOOKS)


def build(database: Database, *, kafka: KafkaOptions, producer: Producer, clock: Clock) -> ConsumerApp[Record]:
    """Facts from Kafka to delivery rows in PostgreSQL; it runs alone and sends nothing."""
    return build_app(GROUP, TOPICS, FanOut(database, clock), kafka=kafka, producer=producer, clock=clock)
