"""Who may send now: no endpoint, however slow, takes the room of the others."""

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple


@dataclass(frozen=True, slots=True)
class Limits:
    """Attempts in flight. `careful` is for endpoints that have not answered yet, or not lately."""

    total: int = 200
    host: int = 16
    endpoint: int = 8
    careful_total: int = 150
    careful_host: int = 12
    suspect_total: int = 32
    suspect_host: int = 4


SLOW_S: Final = 1.0
"""An endpoint with an attempt older than this is suspected of hanging."""


class Trust(StrEnum):
    """What is known of an endpoint: NEW has not answered yet, PROVEN has, SUSPECT hangs or hung last time."""

    NEW = "new"
    PROVEN = "proven"
    SUSPECT = "suspect"


Full = tuple[str, str]
"""The limit that is reached, and whose it is: ("host", "example.com:443"); of all together: ("total", "")."""

TOTAL: Final[Full] = ("total", "")


@dataclass(slots=True)
class _Endpoint:
    trust: Trust = Trust.NEW
    started: dict[int, float] = field(default_factory=dict)


class Slot(NamedTuple):
    """One attempt in flight; give it back with `Slots.release`."""

    number: int
    endpoint: str
    host: str
    trust: Trust


class Slots:
    """Counts attempts in flight per endpoint, host and trust. Times are seconds of a monotonic clock."""

    def __init__(self, limits: Limits = Limits()) -> None:
        self.limits = limits
        self.in_flight = 0
        self._numbers = 0
        self._hosts: dict[str, int] = defaultdict(int)
        self._careful = 0
        self._careful_hosts: dict[str, int] = defaultdict(int)
        self._suspects = 0
        self._suspect_hosts: dict[str, int] = defaultdict(int)
        self._endpoints: dict[str, _Endpoint] = defaultdict(_Endpoint)

    def of(self, endpoint: str) -> int:
        """Attempts in flight to the endpoint."""
        return len(self._endpoints[endpoint].started)

    def trust(self, endpoint: str, at: float) -> Trust:
        """What is known of the endpoint now."""
        known = self._endpoints[endpoint]
        oldest = next(iter(known.started.values()), at)
        return Trust.SUSPECT if at - oldest > SLOW_S else known.trust

    def take(self, endpoint: str, host: str, at: float) -> Slot | Full:
        """A slot, or the limit that stands in the way."""
        trust = self.trust(endpoint, at)
        if full := self._full(endpoint, host, trust):
            return full
        self._numbers += 1
        slot = Slot(self._numbers, endpoint, host, trust)
        self._endpoints[endpoint].started[slot.number] = at
        self._count(slot, 1)
        return slot

    def release(self, slot: Slot, *, answered: bool, timed_out: bool) -> list[Full]:
        """The limits that have room again. An answer of any kind proves the endpoint, a timeout makes it suspect."""
        known = self._endpoints[slot.endpoint]
        del known.started[slot.number]
        if timed_out:
            known.trust = Trust.SUSPECT
        elif answered:
            known.trust = Trust.PROVEN
        self._count(slot, -1)
        freed = [("host", slot.host)]
        if slot.trust is not Trust.PROVEN:
            freed += [("careful", ""), ("careful_host", slot.host)]
        if slot.trust is Trust.SUSPECT:
            freed += [("suspects", ""), ("suspect_host", slot.host)]
        return freed

    def _full(self, endpoint: str, host: str, trust: Trust) -> Full | None:
        limits = self.limits
        if self.in_flight >= limits.total:
            return TOTAL
        if self.of(endpoint) >= (self._share() if trust is Trust.PROVEN else 1):
            return ("endpoint", endpoint)
        if self._hosts[host] >= limits.host:
            return ("host", host)
        return None if trust is Trust.PROVEN else self._full_for_careful(host, trust)

    def _full_for_careful(self, host: str, trust: Trust) -> Full | None:
        limits = self.limits
        if self._careful >= limits.careful_total:
            return ("careful", "")
        if self._careful_hosts[host] >= limits.careful_host:
            return ("careful_host", host)
        if trust is Trust.SUSPECT and self._suspects >= limits.suspect_total:
            return ("suspects", "")
        if trust is Trust.SUSPECT and self._suspect_hosts[host] >= limits.suspect_host:
            return ("suspect_host", host)
        return None

    def _share(self) -> int:
        """A proven endpoint's slots: all while there is plenty, a quarter when most of the room is taken."""
        most = self.limits.endpoint
        if self.in_flight * 2 < self.limits.total:
            return most
        return max(1, most // 2 if self.in_flight * 4 < self.limits.total * 3 else most // 4)

    def _count(self, slot: Slot, by: int) -> None:
        self.in_flight += by
        self._hosts[slot.host] += by
        if slot.trust is not Trust.PROVEN:
            self._careful += by
            self._careful_hosts[slot.host] += by
        if slot.trust is Trust.SUSPECT:
            self._suspects += by
            self._suspect_hosts[slot.host] += by
        if not self._hosts[slot.host]:
            for counts in (self._hosts, self._careful_hosts, self._suspect_hosts):
                counts.pop(slot.host, None)
