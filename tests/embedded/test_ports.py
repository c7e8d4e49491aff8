"""A fixed port is taken or refused; any other is found."""

import socket
from collections.abc import Iterator

import pytest

from infra.embedded.errors import EmbeddedError
from infra.embedded.ports import choose_port, free_ports, is_free


@pytest.fixture(params=["127.0.0.1", "0.0.0.0"])
def taken(request: pytest.FixtureRequest) -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((request.param, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_fixed_port_that_is_taken_is_refused(taken: int) -> None:
    with pytest.raises(EmbeddedError, match=rf"^port {taken} is taken: Kafka cannot listen there"):
        choose_port("Kafka", taken, 9092)


def test_a_usual_port_that_is_taken_is_replaced_by_a_free_one(taken: int) -> None:
    assert is_free(choose_port("Kafka", None, taken))


def test_the_usual_port_is_used_when_it_is_free() -> None:
    (port,) = free_ports(1)
    assert choose_port("Kafka", None, port) == port


def test_a_fixed_port_is_used_when_it_is_free() -> None:
    fixed, usual = free_ports(2)
    assert choose_port("Kafka", fixed, usual) == fixed


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(20))) == 20
