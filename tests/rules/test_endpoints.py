"""What a webhook endpoint may look like."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.rules.endpoints import header_problems, host_of, url_problem


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/",
        "https://hooks.example.com:8443/a/b?c=d&e=%20f",
        "https://xn--bcher-kva.example/hook",
        "https://[2606:4700::1111]:443/x",
        "http://127.0.0.1:8000/~me/(a);b,c!$'*+",
    ],
)
def test_plain_urls_are_fine(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "example.com",
        "//example.com/",
        "https:/example.com",
        "https:///example.com",
        "https://",
        "https://user@example.com/",
        "https://example.com#f",
        "https://example.com/\\",
        "https://example.com\\.evil.com/",
        "https://exa mple.com/",
        "https://example.com/\n",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://\u24d4xample.com/",
        "javascript:alert(1)",
        "https://example.com/" + "a" * 2000,
    ],
)
def test_urls_that_parsers_may_read_differently_are_refused(url: str) -> None:
    assert url_problem(url) is not None


@given(st.text(alphabet="htps:/@#?[]\\%.a1 \t\u3002", max_size=40))
def test_what_passes_has_a_host_and_no_user_or_fragment(text: str) -> None:
    if url_problem(text) is None:
        parts = urlsplit(text)
        assert host_of(text)
        assert (parts.username, parts.fragment) == (None, "")


@pytest.mark.parametrize("name", ["Authorization", "X-Tenant", "x_a", "Cookie"])
def test_ordinary_headers_are_fine(name: str) -> None:
    assert header_problems({name: "some value"}) == ()


@pytest.mark.parametrize(
    "name, value",
    [
        ("Connection", "close"),
        ("HOST", "a"),
        ("content-length", "1"),
        ("Content-Type", "text/plain"),
        ("Webhook-Id", "x"),
        ("svix-id", "x"),
        ("proxy-connection", "x"),
        ("TE", "trailers"),
        ("", "x"),
        (":authority", "x"),
        ("a b", "x"),
        ("X-A", ""),
        ("X-A", " x"),
        ("X-A", "x\x00"),
        ("X-A", "caf\u00e9"),
        ("X-A", "v" * 1025),
    ],
)
def test_hop_by_hop_signature_and_malformed_headers_are_refused(name: str, value: str) -> None:
    (problem,) = header_problems({name: value})
    assert problem.pointer == f"/headers/{name}"


def test_seventeen_headers_are_too_many() -> None:
    (problem,) = header_problems({f"X-{number}": "1" for number in range(17)})
    assert problem.code == "too_many_headers"
