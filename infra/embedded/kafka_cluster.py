"""Several Kafka nodes as one real cluster, for fault tests."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.embedded.kafka import KafkaNode, cluster_id
from infra.embedded.kafka_config import NodeConfig, Voter
from infra.embedded.ports import free_ports


@dataclass(frozen=True)
class KafkaCluster:
    """Running nodes; each is a broker and a voter of the controller quorum."""

    nodes: tuple[KafkaNode, ...]

    @property
    def bootstrap(self) -> str:
        """All brokers, `host:port,host:port,…`."""
        return ",".join(node.bootstrap for node in self.nodes)


def cluster_configs(directory: Path, ports: Sequence[int], *, min_in_sync: int = 2) -> list[NodeConfig]:
    """The configuration of `len(ports) / 2` nodes: broker ports first, then controller ports."""
    count = len(ports) // 2
    voters = tuple(Voter(number + 1, port) for number, port in enumerate(ports[count:]))
    return [
        NodeConfig(
            node_id=voter.node_id,
            broker_port=port,
            voters=voters,
            directory=directory / f"node-{voter.node_id}",
            log=directory / f"node-{voter.node_id}.log",
            replication=count,
            min_in_sync=min_in_sync,
        )
        for voter, port in zip(voters, ports[:count], strict=True)
    ]


@asynccontextmanager
async def start_cluster(directory: Path, jars: Sequence[Path], *, nodes: int = 3) -> AsyncIterator[KafkaCluster]:
    """A cluster of `nodes` below `directory`; every topic has a copy on each, two of which acks=all waits for.

    It is killed when the block ends.
    """
    identity = cluster_id(directory / "cluster.id")
    configs = cluster_configs(directory, free_ports(2 * nodes))
    cluster = KafkaCluster(tuple(KafkaNode(config, jars, identity) for config in configs))
    try:
        await asyncio.gather(*(node.start() for node in cluster.nodes))
        yield cluster
    finally:
        for node in cluster.nodes:  # nobody comes back to it, and the last of a quorum takes 5 s to give up
            await node.kill()
            await node.stop()
