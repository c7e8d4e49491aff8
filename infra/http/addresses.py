"""Which addresses the hub may call on behalf of a customer: an own list, because `is_global` is not enough."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Self

from contracts.errors import ConfigError

Network = IPv4Network | IPv6Network

FORBIDDEN: Final[tuple[tuple[str, str], ...]] = (
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "carrier-grade NAT; Alibaba's metadata 100.100.100.200"),
    ("127.0.0.0/8", "loopback"),
    ("168.63.129.16/32", "Azure's host"),
    ("169.254.0.0/16", "link-local; cloud metadata 169.254.169.254"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "protocol assignments; Oracle's metadata 192.0.0.192"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "AS112"),
    ("192.52.193.0/24", "AMT"),
    ("192.88.99.0/24", "6to4 relays"),
    ("192.168.0.0/16", "private"),
    ("192.175.48.0/24", "AS112"),
    ("198.18.0.0/15", "benchmarks"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved and broadcast"),
    # Of IPv6 only 2000::/3 is global unicast. All else is refused as a whole: ::1, IPv4-mapped and -compatible,
    # NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), discard, segment routing, unique local, link-local, multicast.
    ("::/3", "not global unicast: loopback, IPv4 inside IPv6, NAT64, discard"),
    ("4000::/2", "not global unicast"),
    ("8000::/1", "not global unicast: unique local, link-local, site-local, multicast"),
    ("2001::/23", "protocol assignments: Teredo, ORCHID, benchmarks"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("2620:4f:8000::/48", "AS112"),
    ("3ffe::/16", "6bone"),
    ("3fff::/20", "documentation"),
)

_FORBIDDEN: Final = tuple((ip_network(network), why) for network, why in FORBIDDEN)


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """The list above, and what this installation allows all the same: networks, and hosts by name."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def allowing(cls, entries: Iterable[str]) -> Self:
        """A policy that also lets through these CIDRs, addresses and host names. Raises: ConfigError."""
        networks, hosts = [], set()
        for entry in entries:
            try:
                networks.append(ip_network(entry))
            except ValueError as error:
                if "/" in entry or not entry:
                    raise ConfigError(f"{entry!r} is not a network: {error}") from None
                hosts.add(entry.lower().rstrip("."))
        return cls(tuple(networks), frozenset(hosts))

    def refusal(self, address: str, host: str = "") -> str | None:
        """Why this address (numeric, a zone is ignored) may not be called; None when it may."""
        if host and host.lower().rstrip(".") in self.hosts:
            return None
        try:
            parsed = ip_address(address.partition("%")[0])
        except ValueError:
            return "not a numeric address"
        if any(_within(parsed, network) for network in self.networks):
            return None
        return next((why for network, why in _FORBIDDEN if _within(parsed, network)), None)

    def allows_loopback(self, host: str) -> bool:
        """Whether the host is this machine by its look, and this installation allows calling it."""
        literal = "127.0.0.1" if host.lower() == "localhost" else host.strip("[]")
        try:
            return ip_address(literal).is_loopback and self.refusal(literal, host) is None
        except ValueError:
            return False

    def refusal_of_host(self, host: str) -> str | None:
        """Why a URL with this host is refused before any look-up; None for names: those are checked when resolved."""
        literal = host.strip("[]")
        try:
            ip_address(literal.partition("%")[0])
        except ValueError:
            known = host.lower().rstrip(".") in self.hosts or self.allows_loopback(host)
            return None if known else _suspicious_name(literal)
        return self.refusal(literal, host)


def _within(address: IPv4Address | IPv6Address, network: Network) -> bool:
    return address.version == network.version and address in network


def _suspicious_name(name: str) -> str | None:
    """A last label of digits or hexadecimal is a number to some resolvers (WHATWG URL, "ends in a number")."""
    last = name.lower().rstrip(".").rpartition(".")[2]
    if last.isdigit() or (last.startswith("0x") and all(c in "0123456789abcdef" for c in last[2:])):
        return "a number in disguise"
    if last in ("localhost", "local", "internal", "localdomain"):
        return "a name of the local network"
    return None
