"""What may be in flight at once: what is beyond it is refused at its header, before its body is read."""

from collections.abc import Mapping
from typing import Final

from starlette.types import Scope

from contracts.errors import Overloaded

SURPLUS: Final = "aihub.surplus"
"""In the scope of a request on a connection that is one too many (the server says so): refused, and then closed."""
REFUSED: Final = "aihub.refused"
"""In the scope of a request that was refused: the server waits a moment before it reads from that connection again."""

RETRY_AFTER_S: Final = 1
UNBOUNDED: Final = frozenset(("/health/live", "/health/ready", "/metrics"))
"""Who asks how the hub fares is answered, most of all when it is full."""


class Room:
    """Counts requests and the bytes of their bodies; one that announces more than all the room gets in alone."""

    def __init__(self, requests: int, body_bytes: int) -> None:
        self._most_requests = requests
        self._most_bytes = body_bytes
        self.requests = 0
        self.body_bytes = 0

    def enter(self, scope: Scope, announced: int) -> "Place":
        """Room for a request with a body of so many bytes (0: not announced). Raises: Overloaded."""
        if SURPLUS in scope or self.requests >= self._most_requests or not self._fits(announced):
            scope[REFUSED] = True
            raise Overloaded("The hub takes no more requests for now; try again.", retry_after_s=RETRY_AFTER_S)
        self.requests += 1
        self.body_bytes += announced
        return Place(self, announced)

    def _fits(self, more: int) -> bool:
        return not self.body_bytes or self.body_bytes + more <= self._most_bytes

    def _grow(self, more: int) -> None:
        if not self._fits(more):
            raise Overloaded("The hub has no room for this body now; try again.", retry_after_s=RETRY_AFTER_S)
        self.body_bytes += more

    def _leave(self, held: int) -> None:
        self.requests -= 1
        self.body_bytes -= held


class Place:
    """One request's room."""

    __slots__ = ("_held", "_room")

    def __init__(self, room: Room, held: int) -> None:
        self._room = room
        self._held = held

    def hold(self, size: int) -> None:
        """The body has grown to so many bytes, plain: it was chunked or compressed. Raises: Overloaded."""
        if size > self._held:
            self._room._grow(size - self._held)
            self._held = size

    def leave(self) -> None:
        """The request was answered."""
        self._room._leave(self._held)


def announced_bytes(headers: Mapping[bytes, bytes], limit: int) -> int:
    """What Content-Length says, at most the limit; 0 without one."""
    return min(int(headers.get(b"content-length", 0)), limit)
