"""No connection reaches an address that may not be called, whatever trick the URL plays: a listener counts."""

import socket
from collections.abc import AsyncIterator

import pytest

from infra.http.addresses import AddressPolicy
from infra.http.sender import Sender
from tests.support.far_end import FarEnd, status

PUBLIC = "93.184.216.34"


@pytest.fixture
async def far_end() -> AsyncIterator[FarEnd]:
    async with FarEnd.running() as running:
        yield running


def _answers(*rounds: list[str]):  # type: ignore[no-untyped-def]
    """A name server: the first look-up gets the first list, the next the second, the last one stays."""
    left = list(rounds)

    def lookup(_host: str, port: int, *_rest: object) -> list[tuple[object, ...]]:
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in addresses
        ]

    return lookup


NUMERIC_HOSTS = (
    "127.0.0.1",
    "127.0.0.2",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "0.0.0.0",
    "0",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "localhost",
    "LocalHost",
    "localhost.",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "%31%32%37.0.0.1",
)


@pytest.mark.parametrize("host", NUMERIC_HOSTS)
async def test_a_loopback_address_in_any_writing_gets_no_connection(far_end: FarEnd, host: str) -> None:
    async with Sender(AddressPolicy(), deadline_s=2) as sender:
        reply = await sender.post(f"http://{host}:{far_end.port}/", b"{}", {})
    assert reply.status is None
    assert far_end.connections == 0


TRICKY_URLS = (
    "http://example.com@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@example.com/",
    "http://127.0.0.1:{port}\\@example.com/",
    "http://example.com\\@127.0.0.1:{port}/",
    "http://user:pass@localhost:{port}/",
    "http://127.0.0.1:{port}?.example.com/",
    "http:127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1:{port}\r\nHost: example.com/",
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/",
    "unix:///tmp/socket",
    "http://",
    "",
)


@pytest.mark.parametrize("url", TRICKY_URLS)
async def test_urls_that_parsers_read_differently_get_no_connection(far_end: FarEnd, url: str) -> None:
    lookup = _answers([PUBLIC, "127.0.0.1"])
    async with Sender(AddressPolicy(), deadline_s=2, lookup=lookup) as sender:
        reply = await sender.post(url.format(port=far_end.port), b"{}", {})
    assert reply.status is None
    assert far_end.connections == 0


RESOLVED = (
    ["127.0.0.1"],
    [PUBLIC, "127.0.0.1"],
    ["127.0.0.1", PUBLIC],
    ["::1"],
    [PUBLIC, "::1"],
    ["::ffff:127.0.0.1"],
    ["64:ff9b::7f00:1"],
    ["2002:7f00:1::"],
    ["169.254.169.254"],
    [PUBLIC, "10.0.0.1"],
    ["0.0.0.0"],
    ["100.100.100.200"],
    ["fd00:ec2::254"],
)


@pytest.mark.parametrize("addresses", RESOLVED)
async def test_a_name_with_one_forbidden_address_is_refused_altogether(far_end: FarEnd, addresses: list[str]) -> None:
    async with Sender(AddressPolicy(), deadline_s=2, lookup=_answers(addresses)) as sender:
        reply = await sender.post(f"http://hooks.example.com:{far_end.port}/", b"{}", {})
    assert reply.status is None
    assert reply.error is not None
    assert reply.error.startswith("address not allowed")
    assert far_end.connections == 0


async def test_a_name_that_is_bound_anew_between_two_look_ups_gets_no_connection(far_end: FarEnd) -> None:
    lookup = _answers(["127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"])
    policy = AddressPolicy.allowing(["10.9.9.9/32"])
    async with Sender(policy, deadline_s=2, lookup=lookup) as sender:
        for _ in range(3):
            reply = await sender.post(f"http://hooks.example.com:{far_end.port}/", b"{}", {})
            assert reply.status is None
    assert far_end.connections == 0


async def test_the_connection_goes_to_the_address_that_was_checked(far_end: FarEnd) -> None:
    lookup = _answers(["127.0.0.1"], ["127.0.0.99"])
    async with Sender(AddressPolicy.allowing(["127.0.0.1/32"]), deadline_s=2, lookup=lookup) as sender:
        reply = await sender.post(f"http://hooks.example.com:{far_end.port}/a", b"{}", {})
    assert reply.status == 204
    assert far_end.received[0].headers["host"] == f"hooks.example.com:{far_end.port}"


async def test_an_allowed_host_name_opens_no_door_for_other_names(far_end: FarEnd) -> None:
    policy = AddressPolicy.allowing(["receiver.test"])
    async with Sender(policy, deadline_s=2, lookup=_answers(["127.0.0.1"])) as sender:
        assert (await sender.post(f"http://other.test:{far_end.port}/", b"{}", {})).status is None
        assert (await sender.post(f"http://receiver.test:{far_end.port}/", b"{}", {})).status == 204
        assert (await sender.post(f"http://127.0.0.1:{far_end.port}/", b"{}", {})).status is None
    assert far_end.connections == 1


async def test_a_redirect_to_a_forbidden_address_is_not_followed(far_end: FarEnd) -> None:
    async with FarEnd.running(host="127.0.0.2") as inner:
        far_end.answer = status(307, {"Location": f"{inner.url}/secret"})
        async with Sender(AddressPolicy.allowing(["127.0.0.1/32"]), deadline_s=2) as sender:
            reply = await sender.post(f"{far_end.url}/", b"{}", {})
        assert reply.status == 307
        assert inner.connections == 0


async def test_proxies_of_the_environment_are_ignored(far_end: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FarEnd.running() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        async with Sender(AddressPolicy.allowing(["127.0.0.0/8"]), deadline_s=2) as sender:
            reply = await sender.post(f"{far_end.url}/", b"{}", {})
        assert reply.status == 204
        assert proxy.connections == 0
