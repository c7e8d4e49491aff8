"""TLS and SASL reach every client that opens a socket to Kafka."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from contracts.errors import BrokerUnavailable
from contracts.topics import USAGE
from infra.kafka.admin import ensure_topics
from infra.kafka.log import LogReader
from infra.kafka.options import KafkaOptions, Security
from infra.kafka.producer import Producer
from infra.kafka.subscriber import GroupMember
from tests.support.eventually import eventually

TLS_HANDSHAKE = 0x16  # RFC 8446, section 5.1
SASL_HANDSHAKE = 17  # Kafka's protocol guide: the request's key
API_VERSIONS = 18


@asynccontextmanager
async def listener() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A port that hears how a client begins, and hangs up."""
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(2048))
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heard
    finally:
        server.close()
        await server.wait_closed()


async def produce(options: KafkaOptions) -> None:
    producer = Producer(options, deadline_s=0.5)
    await producer.start()
    try:
        await producer.send(USAGE, "org_1", [b"x"])
    finally:
        await producer.stop()


async def read(options: KafkaOptions) -> None:
    await LogReader(options).end_offset(USAGE, 0)


async def consume(options: KafkaOptions) -> None:
    async def never(_: object) -> None:
        raise AssertionError

    await GroupMember(options, "group", (USAGE,), never).start()


CLIENTS = pytest.mark.parametrize("client", [produce, read, consume, ensure_topics])
Client = Callable[[KafkaOptions], Awaitable[None]]


@CLIENTS
async def test_tls_begins_with_a_handshake(client: Client) -> None:
    async with listener() as (bootstrap, heard):
        with pytest.raises(BrokerUnavailable):
            await client(KafkaOptions(bootstrap, security=Security("SSL")))
        await eventually(lambda: heard)
    assert {first[0] for first in heard} == {TLS_HANDSHAKE}


@CLIENTS
async def test_sasl_asks_before_it_tells_anything(client: Client) -> None:
    security = Security("SASL_PLAINTEXT", mechanism="PLAIN", username="hub", password="secret-word")
    async with listener() as (bootstrap, heard):
        with pytest.raises(BrokerUnavailable):
            await client(KafkaOptions(bootstrap, security=security))
        await eventually(lambda: heard)
    assert {int.from_bytes(first[4:6]) for first in heard} <= {SASL_HANDSHAKE, API_VERSIONS}
    assert not any(b"secret-word" in first for first in heard)
