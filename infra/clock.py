"""The one place that reads the time."""

from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

TOLERATED: Final = timedelta(seconds=0.2)
"""So far a clock may be off without being set right: clocks that NTP keeps differ by less."""


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


class SharedClock:
    """The machine's clock, set right by one that all machines ask: what one has made due is due for all of them.

    `ahead` is how far this machine's own clock is ahead; nothing as long as that is tolerable.
    """

    def __init__(self, own: Clock) -> None:
        self.own = own
        self.ahead = timedelta()

    def now(self) -> datetime:
        """The present instant in UTC, as far as known."""
        return self.own.now() - self.ahead if self.ahead else self.own.now()

    def set_right(self, asked: datetime, told: datetime, answered: datetime) -> None:
        """`told` was the shared time somewhere between `asked` and `answered` by the machine's own clock."""
        if asked - TOLERATED <= told <= answered + TOLERATED:
            self.ahead = timedelta()
        else:
            self.ahead = (asked - told + (answered - told)) / 2
