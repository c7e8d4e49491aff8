"""Either side notices soon when the other is gone without a word: its host has died, the network is cut.

Left alone, TCP tries for a quarter of an hour to send a statement, and a server keeps the transaction and the locks of
a client that it hears nothing from for two hours: no other consumer could book that organization's events meanwhile.
"""

import socket
from typing import Any, Final

NOTICED_MS: Final = 10_000
"""What was sent must be acknowledged (by the kernel, not by the program) within this time."""
IDLE_S: Final = 5
"""After so long without a word the other side is asked whether it is there ..."""
INTERVAL_S: Final = 2
COUNT: Final = 3
"""... so many times, this long apart."""

SESSION: Final = {
    "tcp_user_timeout": str(NOTICED_MS),
    "tcp_keepalives_idle": str(IDLE_S),
    "tcp_keepalives_interval": str(INTERVAL_S),
    "tcp_keepalives_count": str(COUNT),
}
"""The server's side, as settings of a session: https://www.postgresql.org/docs/current/runtime-config-connection.html."""

_OPTIONS: Final = (
    ("TCP_USER_TIMEOUT", NOTICED_MS),
    ("TCP_KEEPIDLE", IDLE_S),
    ("TCP_KEEPINTVL", INTERVAL_S),
    ("TCP_KEEPCNT", COUNT),
)


def watch(connection: Any) -> None:
    """Sets this side of an asyncpg connection; options that the system does not know (macOS) are left out."""
    found = connection._transport.get_extra_info("socket")
    if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _OPTIONS:
        if hasattr(socket, name):
            found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def watch_new(connection: Any) -> None:
    """The same, as `init` of an asyncpg pool."""
    watch(getattr(connection, "_con", connection))
