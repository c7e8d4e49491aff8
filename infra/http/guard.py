"""The guard between the hub and the addresses that customers name: checked where the connection is made."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, Final

from aiohttp import TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from infra.http.addresses import AddressPolicy

_LOOKUPS_AT_ONCE: Final = 32
_DNS_CACHE_S: Final = 10

host_in_hand: ContextVar[str] = ContextVar("host_in_hand", default="")
"""The host of the URL that the current request goes to: set by whoever sends, read where it connects."""


class AddressRefused(OSError):
    """The address may not be called; the message says which list it is on."""

    def __init__(self, why: str) -> None:
        super().__init__(f"address not allowed: {why}")


class GuardedResolver(AbstractResolver):
    """Looks names up and refuses the name when any of its addresses may not be called."""

    def __init__(self, policy: AddressPolicy, lookup: Callable[..., Any] = socket.getaddrinfo) -> None:
        self._policy = policy
        self._lookup = lookup
        # Threads of its own: a name server that hangs must not hold up anybody else's look-ups.
        self._threads = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix="dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Every address of the host. Raises: AddressRefused, OSError when there is none."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, self._lookup, host, port, family, socket.SOCK_STREAM)
        for _family, _kind, _protocol, _name, address in found:
            if why := self._policy.refusal(str(address[0]), host):
                raise AddressRefused(why)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=family_,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for family_, _kind, protocol, _name, address in found
        ]

    async def close(self) -> None:
        """Lets go of the threads; look-ups under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def guarded_connector(policy: AddressPolicy, lookup: Callable[..., Any] = socket.getaddrinfo) -> TCPConnector:
    """A connector that makes no socket for an address that may not be called, however the address came about.

    The resolver sees names; the socket factory sees the final address, also one that stood in the URL as a number.
    """

    def make_socket(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _name, address = info
        if why := policy.refusal(str(address[0]), host_in_hand.get()):
            raise AddressRefused(why)
        return socket.socket(family, kind, protocol)

    return TCPConnector(
        limit=0,
        resolver=GuardedResolver(policy, lookup),
        ttl_dns_cache=_DNS_CACHE_S,
        socket_factory=make_socket,
        keepalive_timeout=30,
    )
