"""The credits consumer (role `credits`): usage and credit events into the ledger."""

from typing import Final

from consumers.batch import Record
from consumers.credits.handlers import CreditsHandler
from consumers.runtime import ConsumerApp, build_app
from contracts.topics import CREDITS, USAGE
from infra.clock import Clock
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.postgres.database import Database

GROUP: Final = "aihub.credits"
TOPICS: Final = (USAGE, CREDITS)


def build(database: Database, *, kafka: KafkaOptions, producer: Producer, clock: Clock) -> ConsumerApp[Record]:
    """Usage and credit events from Kafka to the ledger in PostgreSQL; what it states leaves through the outbox."""
    handler = CreditsHandler(database, clock)
    return build_app(GROUP, TOPICS, handler.handle, kafka=kafka, producer=producer, clock=clock)
