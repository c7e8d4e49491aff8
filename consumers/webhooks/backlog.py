"""Rows in hand that wait for a slot, taken from their endpoints in turn."""

from collections import defaultdict, deque
from collections.abc import Sequence

from consumers.webhooks.slots import TOTAL, Full, Slot, Slots
from infra.postgres.webhooks_queue import Leased


class Backlog:
    """A queue for each endpoint, and a rotation of those that may have room.

    An endpoint that found a limit reached waits at that limit and costs nothing until it has room again. Room is
    offered to one that waits; unless it finds that limit reached again, the next one is offered it too.
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._queues: dict[str, deque[Leased]] = {}
        self._hosts: dict[str, str] = {}
        self._rotation: dict[str, None] = {}
        self._waiting: dict[Full, dict[str, None]] = defaultdict(dict)
        self._waits_at: dict[str, Full] = {}
        self._offered: dict[str, Full] = {}
        self.size = 0

    def of(self, endpoint: str) -> int:
        """Rows that wait for the endpoint."""
        return len(self._queues.get(endpoint, ()))

    def rows(self) -> list[Leased]:
        """Every row that waits."""
        return [row for queue in self._queues.values() for row in queue]

    def add(self, endpoint: str, host: str, rows: Sequence[Leased]) -> None:
        """More rows for an endpoint, oldest first."""
        self._queues.setdefault(endpoint, deque()).extend(rows)
        self._hosts[endpoint] = host
        self.size += len(rows)
        if endpoint not in self._waits_at:
            self._rotation[endpoint] = None

    def take(self, at: float) -> tuple[Leased, Slot] | None:
        """The next row that may be sent now, with its slot; None when every row has to wait."""
        while self._rotation:
            endpoint = next(iter(self._rotation))
            slot = self._slots.take(endpoint, self._hosts[endpoint], at)
            if slot == TOTAL:
                return None
            del self._rotation[endpoint]
            offered = self._offered.pop(endpoint, None)
            taken = self._pop(endpoint) if isinstance(slot, Slot) else None
            if not isinstance(slot, Slot):
                self._park(endpoint, slot)
            if offered is not None and offered != slot:
                self._offer(offered)
            if taken is not None and isinstance(slot, Slot):
                return taken, slot
        return None

    def freed(self, slot: Slot, limits: Sequence[Full]) -> None:
        """An attempt is over: its endpoint may go on, and one more at each limit that has room again."""
        self._unpark(slot.endpoint)
        for limit in limits:
            self._offer(limit)

    def drop(self, endpoint: str) -> list[Leased]:
        """Takes all rows of the endpoint out."""
        rows = list(self._queues.pop(endpoint, ()))
        self.size -= len(rows)
        self._unpark(endpoint)
        self._rotation.pop(endpoint, None)
        if (offered := self._offered.pop(endpoint, None)) is not None:
            self._offer(offered)
        return rows

    def clear(self) -> list[Leased]:
        """Takes all rows out."""
        return [row for endpoint in list(self._queues) for row in self.drop(endpoint)]

    def _pop(self, endpoint: str) -> Leased:
        queue = self._queues[endpoint]
        row = queue.popleft()
        self.size -= 1
        if queue:
            self._rotation[endpoint] = None
        else:
            del self._queues[endpoint]
        return row

    def _park(self, endpoint: str, limit: Full) -> None:
        self._waiting[limit][endpoint] = None
        self._waits_at[endpoint] = limit

    def _unpark(self, endpoint: str) -> None:
        limit = self._waits_at.pop(endpoint, None)
        if limit is None:
            return
        del self._waiting[limit][endpoint]
        if not self._waiting[limit]:
            del self._waiting[limit]
        self._rotation[endpoint] = None

    def _offer(self, limit: Full) -> None:
        waiting = self._waiting.get(limit)
        if waiting:
            endpoint = next(iter(waiting))
            self._unpark(endpoint)
            self._offered[endpoint] = limit
