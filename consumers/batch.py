"""What a handler gets: decoded records, and a way to park single ones."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeAlias

from typing_extensions import TypeVar

from contracts import catalog
from contracts.envelope import Envelope
from contracts.errors import AihubError, BadRecord, UnreadableRecord
from contracts.events.base import EventData
from contracts.topics import Topic
from infra.kafka.log import LogRecord


class Record(NamedTuple):
    """One readable record: where it stands, and what it says. `timestamp_ms` is when its producer made it."""

    topic: Topic
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int
    envelope: Envelope
    data: EventData


R = TypeVar("R", bound="Record | LogRecord", default=Record)


class Parked(NamedTuple):
    """A record for the dead letters, and why."""

    record: Record | LogRecord
    error: AihubError


class Batch(Generic[R]):
    """Up to `max_records` records of one or several partitions, each partition's in order.

    What a handler parks takes effect when it returns; when it raises, the batch comes again and nothing was parked.
    `ahead` is what the consumer's `Ahead` worked out of them; None where there is none, or for a part of a batch.
    """

    __slots__ = ("ahead", "parked", "records")

    def __init__(self, records: Sequence[R], ahead: object = None) -> None:
        self.records = list(records)
        self.ahead = ahead
        self.parked: list[Parked] = []

    def park(self, record: R, error: AihubError) -> None:
        """This record to the dead letters with the error's code and message; the others go on."""
        self.parked.append(Parked(record, error))


Handler: TypeAlias = Callable[[Batch[R]], Awaitable[None]]
Read: TypeAlias = tuple[list[R], list[Parked]]
"""The readable records, and the others with the reason."""
Decode: TypeAlias = Callable[[Sequence[LogRecord]], Read[R]]
Ahead: TypeAlias = Callable[[Sequence[LogRecord]], Awaitable[object]]
"""Works out of a whole batch what its handler will want to know, without any effect: it may never be its turn."""


def decoded(records: Sequence[LogRecord]) -> Read[Record]:
    """The readable records, and the others with the reason."""
    good: list[Record] = []
    bad: list[Parked] = []
    for raw in records:
        topic, partition, offset, key, value, headers, timestamp_ms = raw
        try:
            if value is None:
                raise UnreadableRecord("The record has no value.")
            envelope, data = catalog.decode(value)
        except BadRecord as error:
            bad.append(Parked(raw, error))
        else:
            good.append(Record(topic, partition, offset, key, value, headers, timestamp_ms, envelope, data))
    return good, bad


def undecoded(records: Sequence[LogRecord]) -> Read[LogRecord]:
    """The records as they are, readable or not."""
    return list(records), []
