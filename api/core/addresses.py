"""Where a request comes from."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


def client_address(peer: str, forwarded: bytes | None, proxies: Sequence[Network]) -> str:
    """The peer's address; behind trusted proxies the last address of X-Forwarded-For that is none of theirs.

    What a client writes there itself is never believed: the list is read from the right. An IPv4 address that a
    dual-stack socket shows as IPv6 is the IPv4 one, which networks and limits are written for.
    """
    if peer.startswith("::ffff:"):
        peer = str(_parsed(peer) or peer)
    if forwarded is None or not proxies or not _trusted(peer, tuple(proxies)):
        return peer
    for hop in reversed(forwarded.decode("latin-1").split(",")):
        address = _parsed(hop.strip())
        if address is None:
            return peer
        peer = str(address)
        if not _trusted(peer, tuple(proxies)):
            return peer
    return peer


@lru_cache(maxsize=4_096)
def _trusted(address: str, proxies: tuple[Network, ...]) -> bool:
    found = _parsed(address)
    return found is not None and any(found in proxy for proxy in proxies)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
