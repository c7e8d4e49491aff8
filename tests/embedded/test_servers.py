"""What the servers have acknowledged survives them."""

import asyncio
import os
import stat
from pathlib import Path

import asyncpg
import pytest

from infra.embedded.engines import EmbeddedOptions, Engines, start_engines, start_somewhere
from infra.embedded.errors import EmbeddedError, log_tail
from infra.embedded.kafka import KafkaNode
from infra.embedded.kafka_config import NodeConfig, Voter
from infra.embedded.ports import free_ports
from infra.embedded.postgres import PostgresServer
from tests.embedded.conftest import alive
from tests.embedded.records import committed, consume, make_topic, produce
from tests.support.eventually import eventually


async def test_they_report_their_versions(servers: Engines) -> None:
    assert servers.versions["kafka"] == "4.4.0"
    assert servers.versions["postgres"].startswith("18.")


async def test_kafka_has_started_once_it_has_written_its_version(servers: Engines) -> None:
    written = servers.kafka.log.stat().st_size
    assert await servers.kafka._ready(since=0)
    assert not await servers.kafka._ready(since=written)  # it answers, with nothing written since
    assert await servers.kafka._ready(since=0)


async def test_kafka_keeps_records_and_offsets_through_kill_9(servers: Engines) -> None:
    values = [str(number).encode() for number in range(50)]
    await make_topic(servers.kafka_bootstrap, "kept")
    await produce(servers.kafka_bootstrap, "kept", values)
    assert await consume(servers.kafka_bootstrap, "kept", "readers", 20) == values[:20]
    pid = servers.kafka.pid
    await servers.kafka.kill()
    assert pid is not None
    assert not alive(pid)
    await servers.kafka.start()

    async def known() -> int | None:  # None while the broker still loads the group's offsets
        return await committed(servers.kafka_bootstrap, "kept", "readers")

    assert await eventually(known) == 20
    assert await consume(servers.kafka_bootstrap, "kept", "readers", 30) == values[20:]


async def test_kafka_takes_a_record_of_5_megabytes(servers: Engines) -> None:
    value = os.urandom(5 * 1024 * 1024)
    await make_topic(servers.kafka_bootstrap, "large")
    await produce(servers.kafka_bootstrap, "large", [value])
    assert await consume(servers.kafka_bootstrap, "large", "readers", 1) == [value]


async def test_postgres_keeps_rows_through_kill_9(servers: Engines) -> None:
    connection = await asyncpg.connect(servers.postgres_dsn)
    await connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
    await servers.postgres.kill()
    await servers.postgres.start()
    await connection.close()
    connection = await asyncpg.connect(servers.postgres_dsn)
    assert await connection.fetchval("SELECT count(*) FROM kept") == 1000
    await connection.close()


async def test_postgres_is_set_up_as_the_design_says(servers: Engines) -> None:
    connection = await asyncpg.connect(servers.postgres_dsn)
    wanted = {
        "max_connections": "200",
        "shared_buffers": "128MB",
        "fsync": "on",
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
        "listen_addresses": "127.0.0.1",
    }
    found = {name: await connection.fetchval(f"SHOW {name}") for name in wanted}
    assert found == wanted
    assert await connection.fetchval("SHOW wal_compression") != "off"
    await connection.close()


async def test_postgres_is_reached_over_its_socket_too(servers: Engines) -> None:
    connection = await asyncpg.connect(servers.postgres.socket_dsn)
    assert await connection.fetchval("SELECT inet_server_addr()") is None
    await connection.close()


async def test_postgres_wants_the_password_which_only_the_owner_can_read(servers: Engines) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(servers.postgres_dsn, password="guessed")
    assert stat.S_IMODE((servers.home / "postgres" / "password").stat().st_mode) == 0o600


async def test_postgres_never_runs_as_root(servers: Engines) -> None:
    connection = await asyncpg.connect(servers.postgres_dsn)
    assert servers.postgres.pid is not None
    owner = (servers.home / "postgres" / "data").stat().st_uid
    assert owner != 0
    await connection.close()


async def test_a_server_that_dies_is_noticed(servers: Engines) -> None:
    watch = asyncio.ensure_future(servers.died())
    await servers.postgres.kill()
    assert await asyncio.wait_for(watch, 5) == "PostgreSQL ended with code 137"
    await servers.postgres.start()


async def test_a_start_of_what_runs_changes_nothing(servers: Engines) -> None:
    before = servers.postgres.pid
    await servers.postgres.start()
    assert servers.postgres.pid == before


async def test_data_survives_a_restart_on_other_ports(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 25)  # too long for the path of a socket
    async with start_engines(EmbeddedOptions(home=home, clickhouse=False)) as first:
        await make_topic(first.kafka_bootstrap, "kept")
        await produce(first.kafka_bootstrap, "kept", [b"1", b"2"])
        connection = await asyncpg.connect(first.postgres.socket_dsn)
        await connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
        await connection.close()
        pids = [first.kafka.pid, first.postgres.pid]
        sockets = first.postgres.socket_directory
    assert not any(alive(pid) for pid in pids if pid)
    assert not sockets.exists()
    kafka_port, postgres_port = free_ports(2)
    options = EmbeddedOptions(home=home, kafka_port=kafka_port, postgres_port=postgres_port, clickhouse=False)
    async with start_engines(options) as second:
        assert second.kafka_bootstrap == f"127.0.0.1:{kafka_port}"
        assert f":{postgres_port}/" in second.postgres_dsn
        assert await consume(second.kafka_bootstrap, "kept", "readers", 2) == [b"1", b"2"]
        connection = await asyncpg.connect(second.postgres_dsn)
        assert await connection.fetchval("SELECT number FROM kept") == 1
        await connection.close()


async def test_a_port_that_is_taken_is_told_before_anything_starts(servers: Engines, tmp_path: Path) -> None:
    options = EmbeddedOptions(home=tmp_path, postgres_port=servers.postgres.port, clickhouse=False)
    with pytest.raises(EmbeddedError, match=rf"^port {servers.postgres.port} is taken: PostgreSQL"):
        async with start_engines(options):
            pass
    assert not (tmp_path / "postgres" / "data").exists()


async def test_jars_that_cannot_be_had_stop_everything_else_too(tmp_path: Path) -> None:
    def offline(*_: object) -> Path:
        raise OSError("no network")

    told: list[tuple[str, bool]] = []
    options = EmbeddedOptions(
        home=tmp_path / "home",
        clickhouse=False,
        jar_cache=tmp_path / "cache",
        fetch_jar=offline,
        on_step=lambda name, done: told.append((name, done)),
    )
    with pytest.raises(EmbeddedError, match="cannot get .* of Apache Kafka"):
        async with start_engines(options):
            pass
    assert ("jars", False) in told
    assert ("jars", True) not in told
    async with asyncio.timeout(5):
        assert (tmp_path / "home" / "postgres" / "process.lock").read_text() == "" or not any(
            alive(int(pid)) for pid in (tmp_path / "home" / "postgres" / "process.lock").read_text().split()
        )


def node_on(port: int, here: Path, jars: list[Path]) -> KafkaNode:
    (controller,) = free_ports(1)
    config = NodeConfig(1, port, (Voter(1, controller),), here / "node", here / "kafka.log")
    return KafkaNode(config, jars, "4vk1vQXnQ0mFcbrVbXyeOQ")


async def test_a_kafka_that_cannot_format_is_one_line_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"^Kafka could not format its storage .*kafka\.out") as caught:
        await node_on(1, tmp_path, []).start()
    assert "\n" not in caught.value.message


async def test_a_kafka_that_cannot_listen_is_one_line_with_its_log(
    servers: Engines, tmp_path: Path, jars: list[Path]
) -> None:
    node = node_on(servers.kafka.port, tmp_path, jars)
    with pytest.raises(EmbeddedError, match=r"^Kafka ended with code 1; see .*kafka\.log .*in use") as caught:
        await node.start()
    assert "\n" not in caught.value.message
    assert not node.running


async def test_a_port_that_somebody_takes_meanwhile_is_replaced(servers: Engines, tmp_path: Path) -> None:
    server = PostgresServer(tmp_path, servers.postgres.port, tmp_path / "postgres.log")
    try:
        with pytest.raises(EmbeddedError, match="Address already in use"):
            await start_somewhere(server, server.port)
        await start_somewhere(server, None)
        assert server.port != servers.postgres.port
        connection = await asyncpg.connect(server.dsn)
        await connection.close()
    finally:
        await server.stop()


async def test_a_broken_postgres_is_one_line_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (port,) = free_ports(1)
    server = PostgresServer(tmp_path, port, tmp_path / "postgres.log")
    with pytest.raises(EmbeddedError, match=r"^PostgreSQL ended with code \d+; see .*postgres\.log") as caught:
        await server.start()
    assert "\n" not in caught.value.message
    assert not server.running


async def test_an_initialisation_that_was_cut_short_is_done_again(tmp_path: Path) -> None:
    (tmp_path / "data.new").mkdir()
    (tmp_path / "data.new" / "half").write_text("")
    (port,) = free_ports(1)
    server = PostgresServer(tmp_path, port, tmp_path / "postgres.log")
    await server.start()
    await server.stop()
    assert not (tmp_path / "data.new").exists()


def test_errors_are_quoted_before_other_lines_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before ERROR\nstart\nERROR: no\nstopped\n")
    assert log_tail(log, since=13) == "ERROR: no"
    assert log_tail(tmp_path / "none") == ""
