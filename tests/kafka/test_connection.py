"""A connection whose transport is gone says so, on either event loop."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

import infra.kafka.connection  # noqa: F401 - what is tested
from infra.kafka.options import KafkaOptions


async def _write_to_a_closed_transport(bootstrap: str) -> None:
    host, _, port = bootstrap.partition(":")
    connection = await create_conn(host, int(port))
    try:
        connection._writer.transport.abort()
        with pytest.raises(KafkaConnectionError):
            await connection.send(MetadataRequest([]))
        assert not connection.connected()
    finally:
        connection.close()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
async def test_a_write_to_a_closed_transport_is_a_connection_error(
    kafka: KafkaOptions, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    def run() -> None:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(_write_to_a_closed_transport(kafka.bootstrap))

    await asyncio.to_thread(run)
