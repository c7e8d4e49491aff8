"""Three nodes are a real cluster."""

from pathlib import Path

from infra.embedded.kafka_cluster import cluster_configs, start_cluster
from infra.embedded.kafka_config import server_properties
from tests.embedded.records import consume, make_topic, produce


async def test_an_acknowledged_record_survives_the_loss_of_one_node(tmp_path: Path, jars: list[Path]) -> None:
    async with start_cluster(tmp_path, jars) as cluster:
        await make_topic(cluster.bootstrap, "kept", replicas=3)
        await produce(cluster.bootstrap, "kept", [b"1", b"2"])
        await cluster.nodes[0].kill()
        await produce(cluster.bootstrap, "kept", [b"3"])
        assert await consume(cluster.bootstrap, "kept", "readers", 3) == [b"1", b"2", b"3"]
        await cluster.nodes[0].start()
        assert cluster.nodes[0].running


def test_the_nodes_of_a_cluster_agree_on_their_voters(tmp_path: Path) -> None:
    configs = cluster_configs(tmp_path, [1, 2, 3, 4, 5, 6])
    lines = [server_properties(config).splitlines() for config in configs]
    for number, found in enumerate(lines, start=1):
        assert "controller.quorum.voters=1@127.0.0.1:4,2@127.0.0.1:5,3@127.0.0.1:6" in found
        assert f"listeners=BROKER://127.0.0.1:{number},CONTROLLER://127.0.0.1:{number + 3}" in found
        assert "min.insync.replicas=2" in found
        assert "default.replication.factor=3" in found


def test_a_backslash_in_a_path_stays_one(tmp_path: Path) -> None:
    config = cluster_configs(tmp_path / "a\\b", [1, 2])[0]
    assert f"log.dirs={tmp_path}/a\\\\b/node-1/data" in server_properties(config)
