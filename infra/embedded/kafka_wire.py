"""The one question that start-up asks Kafka in its own protocol: which brokers are alive?"""

import asyncio
import struct
from typing import NamedTuple

from infra.embedded.ports import LOOPBACK

METADATA, METADATA_VERSION = 3, 8
ANSWER_S = 2.0


class ClusterView(NamedTuple):
    """What one broker knows: its cluster, and the node ids of the brokers that count as alive there."""

    cluster_id: str
    live_brokers: frozenset[int]


async def cluster_view(port: int) -> ClusterView:
    """The cluster as the broker on `port` sees it.

    Raises: OSError when there is no answer yet.
    """
    try:
        async with asyncio.timeout(ANSWER_S):
            return _parse(await _ask(port))
    except (TimeoutError, EOFError, struct.error) as error:
        raise OSError(f"no answer from Kafka on port {port}") from error


async def _ask(port: int) -> bytes:
    """The body of a Metadata response (version 8) about no topic."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        header = struct.pack(">hhih", METADATA, METADATA_VERSION, 1, -1)
        body = struct.pack(">i???", 0, False, False, False)
        writer.write(struct.pack(">i", len(header + body)) + header + body)
        (size,) = struct.unpack(">i", await reader.readexactly(4))
        return await reader.readexactly(size)
    finally:
        writer.close()


def _parse(answer: bytes) -> ClusterView:
    (count,) = struct.unpack_from(">i", answer, 8)  # after correlation id and throttle time
    found, at = set[int](), 12
    for _ in range(count):
        node_id, host_length = struct.unpack_from(">ih", answer, at)
        at += 6 + host_length + 4  # host and port
        (rack_length,) = struct.unpack_from(">h", answer, at)
        at += 2 + max(rack_length, 0)
        found.add(node_id)
    (id_length,) = struct.unpack_from(">h", answer, at)
    return ClusterView(answer[at + 2 : at + 2 + max(id_length, 0)].decode(), frozenset(found))
