"""The list of addresses that customers may not have the hub call."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import ConfigError
from infra.http.addresses import AddressPolicy

POLICY = AddressPolicy()

FORBIDDEN = (
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.1.2.3",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "3ffe::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
)

PUBLIC = ("1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450::1")


@pytest.mark.parametrize("address", FORBIDDEN)
def test_addresses_that_are_not_on_the_public_internet_are_refused(address: str) -> None:
    assert POLICY.refusal(address) is not None


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_let_through(address: str) -> None:
    assert POLICY.refusal(address) is None


@given(st.ip_addresses())
def test_whatever_python_itself_calls_not_global_is_refused_too(address: object) -> None:
    parsed = ip_address(str(address))
    if not parsed.is_global or parsed.is_multicast:
        assert POLICY.refusal(str(address)) is not None


@given(st.text(max_size=20))
def test_what_is_not_a_numeric_address_is_never_let_through(text: str) -> None:
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        assert POLICY.refusal(text) is not None


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "1.0x7f", "localhost", "a.localhost",
     "metadata.google.internal", "printer.local", "LOCALHOST.", "0x", "10.0.0.1"],
)  # fmt: skip
def test_hosts_that_are_numbers_or_local_names_are_refused_before_any_look_up(host: str) -> None:
    assert POLICY.refusal_of_host(host) is not None


@pytest.mark.parametrize("host", ["example.com", "hooks.example.co.uk", "1.1.1.1", "[2606:4700::1111]", "a1.b2.xyz"])
def test_other_hosts_are_looked_up_first(host: str) -> None:
    assert POLICY.refusal_of_host(host) is None


def test_networks_and_hosts_can_be_allowed_and_nothing_else_is_with_them() -> None:
    policy = AddressPolicy.allowing(["127.0.0.0/8", "::1", "Receiver.internal"])
    assert policy.refusal("127.0.0.1") is None
    assert policy.refusal("::1") is None
    assert policy.refusal("10.0.0.1") is not None
    assert policy.refusal("10.0.0.1", "receiver.internal") is None
    assert policy.refusal("10.0.0.1", "other.internal") is not None
    assert policy.refusal_of_host("receiver.internal.") is None


@pytest.mark.parametrize("entry", ["127.0.0.1/8", "10.0.0.0/33", ""])
def test_an_entry_that_is_neither_network_nor_host_is_a_configuration_error(entry: str) -> None:
    with pytest.raises(ConfigError):
        AddressPolicy.allowing([entry])
