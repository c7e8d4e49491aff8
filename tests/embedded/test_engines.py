"""The whole stack, in a process of its own."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import asyncpg

from tests.embedded.conftest import ROOT, alive, stack
from tests.embedded.records import consume, make_topic, produce
from tests.support.eventually import eventually

SECOND_START_S = 10.0


async def test_kill_9_of_everything_leaves_no_process_and_loses_nothing(tmp_path: Path) -> None:
    make_rows = "CREATE TABLE kept (n UInt64) ENGINE = MergeTree ORDER BY n", "INSERT INTO kept VALUES (1), (2)"
    async with stack(tmp_path, *make_rows) as first:
        assert set(first.told["versions"]) == {"kafka", "postgres", "clickhouse"}
        await make_topic(first.told["kafka_bootstrap"], "kept")
        await produce(first.told["kafka_bootstrap"], "kept", [b"1", b"2"])
        connection = await asyncpg.connect(first.told["postgres_dsn"])
        await connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
        await connection.close()
        first.process.kill()
        await first.process.wait()
    before = time.monotonic()
    async with stack(tmp_path, "SELECT sum(n) FROM kept") as second:
        assert time.monotonic() - before < SECOND_START_S
        await eventually(lambda: not any(alive(pid) for pid in first.told["pids"]))
        assert second.told["rows"] == ["3"]
        assert await consume(second.told["kafka_bootstrap"], "kept", "readers", 2) == [b"1", b"2"]
        connection = await asyncpg.connect(second.told["postgres_dsn"])
        assert await connection.fetchval("SELECT number FROM kept") == 1
        await connection.close()
        for pid in second.told["pids"]:  # and the servers at the same moment
            os.kill(pid, 9)
        second.process.kill()
        await second.process.wait()
    before = time.monotonic()
    async with stack(tmp_path, "SELECT sum(n) FROM kept") as third:
        assert time.monotonic() - before < SECOND_START_S
        assert third.told["rows"] == ["3"]
        async with stack(tmp_path) as refused:
            assert f"in use by process {third.process.pid}" in refused.told["error"]
            assert await asyncio.wait_for(refused.process.wait(), 10) == 1
        assert await third.end() == 0
    assert not any(alive(pid) for pid in third.told["pids"])


async def test_a_stack_that_is_killed_while_it_starts_can_be_started(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.embedded.stack", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as first:
        await eventually(lambda: (tmp_path / "postgres" / "data.new").exists(), within_s=20)
        first.kill()
    async with stack(tmp_path) as second:
        assert second.told["versions"]["kafka"] == "4.4.0"
        assert await second.end() == 0
