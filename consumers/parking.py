"""Dead letters: what is written of a record that could not be handled, and when it is too many of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from consumers.batch import Parked, Record
from contracts.errors import AihubError, IdentityConflict, TooManyDeadLetters
from contracts.types import rfc3339
from infra.kafka.log import LogRecord

MAX_IN_A_ROW: Final = 1_000
MAX_MESSAGE: Final = 2_000
ORIGINAL: Final = "original-"
"""Before the names of the headers that the record came with."""


def dead_letter(consumer: str, parked: Parked, now: datetime) -> list[tuple[str, bytes]]:
    """The headers of a dead letter: who parked it and why, where it stood, and its own headers, prefixed."""
    record, error = parked
    return [
        ("consumer", consumer.encode()),
        ("reason", error.code.encode()),
        ("message", explained(error).encode(errors="replace")),
        ("topic", record.topic.name.encode()),
        ("partition", str(record.partition).encode()),
        ("offset", str(record.offset).encode()),
        ("parked-at", rfc3339(now).encode()),
        *((ORIGINAL + name, value) for name, value in record.headers),
    ]


def explained(error: AihubError) -> str:
    """The error's message with what is wrong where; at most 2,000 characters."""
    details = "; ".join(f"{problem.pointer or '/'}: {problem.message}" for problem in error.problems)
    return (f"{error.message} {details}" if details else error.message)[:MAX_MESSAGE]


class Streak:
    """Counts dead letters in a row: a bad deploy parks everything, a bad client only its own.

    An identity conflict neither counts nor ends a row: any client can make one, by sending an id again.
    """

    def __init__(self, limit: int = MAX_IN_A_ROW) -> None:
        self.limit = limit
        self.length = 0

    def note(self, records: Sequence[LogRecord], parked: Sequence[Parked]) -> None:
        """Takes a batch into account, in its order. Raises: TooManyDeadLetters; nothing of the batch is parked then."""
        if not parked:
            self.length = 0
            return
        errors = {_place(found.record): found.error for found in parked}
        length = self.length
        for record in records:
            error = errors.get(_place(record))
            if error is None:
                length = 0
            elif not isinstance(error, IdentityConflict):
                length += 1
                last = error
            if length >= self.limit:
                raise TooManyDeadLetters(
                    f"{length} records in a row could not be handled, the last because: {last.message} "
                    "Look at the last deploy; nothing was committed"
                )
        self.length = length


def _place(record: Record | LogRecord) -> tuple[str, int, int]:
    return (record.topic.name, record.partition, record.offset)
