"""The credits consumer (role `credits`): usage and credit events into the ledger."""

from typing import Final

from consumers.batch import Handler, Record
from consumers.build import build_app
from consumers.credits.handlers import CreditsHandler
from consumers.crew import Crew
from contracts.topics import CREDITS, USAGE
from infra.clock import Clock
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.postgres.database import Database

GROUP: Final = "aihub.credits"
TOPICS: Final = (USAGE, CREDITS)
MEMBERS: Final = 2
"""Members of the group in one process; each has a transaction of its own (`AIHUB_POSTGRES_POOL` is at least 2)."""


def build(database: Database, *, kafka: KafkaOptions, producer: Producer, clock: Clock) -> Crew[Record]:
    """Usage and credit events from Kafka to the ledger in PostgreSQL; what it states leaves through the outbox."""
    return build_crew(CreditsHandler(database, clock).handle, kafka=kafka, producer=producer, clock=clock)


def build_crew(handler: Handler[Record], *, kafka: KafkaOptions, producer: Producer, clock: Clock) -> Crew[Record]:
    """Several members, so that PostgreSQL writes one's batch while another one's is priced and booked.

    They share no partition. Where they meet at an organization (its credit events are in another topic) its head is
    locked, as between processes.
    """
    first = build_app(GROUP, TOPICS, handler, kafka=kafka, producer=producer, clock=clock)
    others = [
        build_app(GROUP, TOPICS, handler, kafka=kafka, producer=producer, clock=clock, beside=first)
        for _ in range(1, MEMBERS)
    ]
    return Crew([first, *others])
