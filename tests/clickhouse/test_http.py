"""The network path of clickhouse-connect, against a process that speaks ClickHouse's HTTP interface."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.analytics.handlers import Sink, Written
from contracts.errors import AnalyticsUnavailable, ConfigError
from infra.clickhouse.client import ClickHouse
from infra.clickhouse.migrate import migrate
from infra.clickhouse.usage import UsageQuery, series, totals
from tests.support.usage import NOON, batch, charge, usage


def start(path: Path, port: int = 0, *more: str) -> tuple[subprocess.Popen[str], str]:
    """The process and its URL."""
    command = [sys.executable, "-m", "tests.support.clickhouse_http", "--path", str(path), "--port", str(port), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip().removeprefix("listening on ")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server of this module's own."""
    process, url = start(tmp_path_factory.mktemp("clickhouse"), 0, "--credentials", "hub:p@ss")
    yield url.replace("http://", "http://hub:p%40ss@")
    process.terminate()
    process.communicate()


@pytest.mark.parametrize("compress", [False, True])
async def test_all_works_over_http_as_it_does_embedded(server: str, compress: bool) -> None:
    clickhouse = ClickHouse.open_http(server, f"over_http_{compress}", compress=compress)
    before, newest = await migrate(clickhouse)
    assert (before, newest > 0) == (0, True)
    assert await migrate(clickhouse) == (newest, newest)
    records = [usage(f"e{i}", i, model="it's \\ 模型\n", quantity="0.5", unit="second", a=[1]) for i in range(500)]
    sink = Sink(clickhouse)
    await sink.resume({("aihub.usage.v1", 0)})
    await sink.ready()
    assert await sink.write(batch(*records, charge(records[0], 0, 9))) == Written(500, 0, 1)
    assert await sink.write(batch(*records)) == Written(500, 0, 0)
    query = UsageQuery("org_a", NOON, NOON.replace(hour=20), filters={"model": ["it's \\ 模型\n"]})
    total = await totals(clickhouse, query)
    assert (total["events"], total["input_tokens"], total["credits_micros"]) == (500, 5_000, 9)
    assert str(total["quantities"]["second"]) == "250.000000"
    assert (await series(clickhouse, query, limit=5))[0]["events"] == 500
    await sink.close()
    await clickhouse.drop_database()
    await clickhouse.close()


async def test_a_lookup_of_10_000_identities_passes_the_servers_limits(server: str) -> None:
    clickhouse = ClickHouse.open_http(server, "lookups")
    await migrate(clickhouse)
    sink = Sink(clickhouse)
    records = [usage(f"e{i}", i) for i in range(10_000)]
    await sink.write(batch(*records))
    again = [usage(f"e{i}", 10_000 + i, time=NOON) for i in range(10_000)]
    assert await Sink(clickhouse).write(batch(*again)) == Written(0, 10_000, 0)
    await clickhouse.close()


async def test_bad_sql_is_a_bug_and_not_taken_for_a_server_that_is_away(server: str) -> None:
    clickhouse = ClickHouse.open_http(server, "default")
    with pytest.raises(Exception, match="UNKNOWN_TABLE") as raised:
        await clickhouse.query("SELECT * FROM nowhere")
    assert not isinstance(raised.value, AnalyticsUnavailable)
    await clickhouse.close()


async def test_a_wrong_password_is_not_taken_for_a_server_that_is_away(server: str) -> None:
    clickhouse = ClickHouse.open_http(server.replace("p%40ss", "wrong"), "default")
    with pytest.raises(Exception, match="516") as raised:
        await clickhouse.ping()
    assert not isinstance(raised.value, AnalyticsUnavailable)
    await clickhouse.close()


async def test_a_server_that_is_away_is_unavailable_and_comes_back_without_a_restart(tmp_path: Path) -> None:
    process, url = start(tmp_path)
    clickhouse = ClickHouse.open_http(url, "default")
    await clickhouse.ping()
    process.kill()
    process.communicate()
    with pytest.raises(AnalyticsUnavailable):
        await clickhouse.ping()
    process, _ = await asyncio.to_thread(start, tmp_path, int(url.rsplit(":", 1)[1]))
    await clickhouse.ping()
    await clickhouse.close()
    process.kill()
    process.communicate()


async def test_a_server_that_hangs_is_unavailable_within_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        clickhouse = ClickHouse.open_http(f"http://127.0.0.1:{silent.getsockname()[1]}", "default")
        began = time.monotonic()
        with pytest.raises(AnalyticsUnavailable):
            await clickhouse.query("SELECT 1", deadline_s=0.5)
        assert time.monotonic() - began < 2
    await clickhouse.close()


def test_another_kind_of_url_is_refused() -> None:
    for url in ("clickhouse://host:9000", "host:8123", "http://"):
        with pytest.raises(ConfigError):
            ClickHouse.open_http(url)
