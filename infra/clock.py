"""The one place that reads the time."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Gives the time; read once at the edge and passed down."""

    def now(self) -> datetime:
        """The present instant in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present instant in UTC, to the microsecond."""
        return datetime.now(UTC)  # noqa: TID251 - this is its one place
