"""Where a request comes from: what a client writes itself is never believed."""

from ipaddress import IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.core.addresses import client_address

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
addresses = st.ip_addresses().map(str)


@pytest.mark.parametrize(
    "peer, forwarded, found",
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", b"192.0.2.1", "203.0.113.9"),
        ("10.0.0.1", b"192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", b"6.6.6.6, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", b"6.6.6.6, 192.0.2.1, 10.9.9.9", "192.0.2.1"),
        ("10.0.0.1", b"10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("10.0.0.1", b"", "10.0.0.1"),
        ("10.0.0.1", b"not an address", "10.0.0.1"),
        ("10.0.0.1", b"192.0.2.1, unknown", "10.0.0.1"),
        ("10.0.0.1", b"2001:db8::1", "2001:db8::1"),
        ("fd00::1", b"192.0.2.1", "192.0.2.1"),
        ("", b"192.0.2.1", ""),
        ("::ffff:203.0.113.9", None, "203.0.113.9"),
        ("::ffff:203.0.113.9", b"192.0.2.1", "203.0.113.9"),
        ("::ffff:10.0.0.1", b"192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", b"::ffff:192.0.2.1", "192.0.2.1"),
    ],
)  # fmt: skip
def test_the_last_hop_that_is_no_trusted_proxy_is_the_client(peer: str, forwarded: bytes | None, found: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == found


@given(forged=st.lists(addresses, max_size=5), client=st.ip_addresses(v=4, network="203.0.113.0/24").map(str))
def test_nothing_that_a_client_puts_in_front_changes_its_address(forged: list[str], client: str) -> None:
    header = ", ".join([*forged, client]).encode()
    assert client_address("10.0.0.1", header, PROXIES) == client


@given(forwarded=st.binary(max_size=200), peer=addresses)
def test_without_trusted_proxies_the_header_is_not_read(forwarded: bytes, peer: str) -> None:
    mapped = IPv6Address(peer).ipv4_mapped if ":" in peer else None
    assert client_address(peer, forwarded, ()) == str(mapped or peer)
