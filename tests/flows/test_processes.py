"""`aihub demo` and `aihub up` as a user runs them: real processes, killed and started again."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from infra.http.hub_client import HubClient
from tests.support.eventually import eventually

AIHUB = str(Path(sys.executable).with_name("aihub"))
TRACE = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(
    f"2023-11-16 18:{n // 60 % 60:02}:{n % 60:02}.6805900,{100 + n},{n % 50}\n" for n in range(300)
)


def aihub(*arguments: str | Path, timeout_s: float = 110) -> subprocess.CompletedProcess[str]:
    command = [AIHUB, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


def processes_of(home: Path) -> list[str]:
    """Everything that runs and names the home directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(home) in command and int(process.name) != os.getpid():
                found.append(command)
    return found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def checked(result: Path, events: int) -> dict[str, Any]:
    table = json.loads(result.read_text())
    counts = (
        "events_sent",
        "events_accepted",
        "events_charged",
        "events_analysed",
        "deliveries_expected",
        "deliveries_succeeded",
    )
    assert {name: table[name] for name in counts} == dict.fromkeys(counts, events)
    assert table["reconcile_clean"] is True
    assert set(table["engines"]) == {"kafka", "postgres", "clickhouse"}
    assert set(table["latency_ms"]) == {"charged", "analysed", "delivered"}
    return table


@pytest.mark.timeout(240)
def test_the_demo_agrees_with_itself_also_a_second_time_on_the_same_home(home: Path, tmp_path: Path) -> None:
    first = aihub("demo", "--home", home, "--events", "300", "--result", tmp_path / "one.json")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "reconcile" in first.stdout
    assert "clean" in first.stdout
    checked(tmp_path / "one.json", 300)
    trace = tmp_path / "trace.csv"
    trace.write_text(TRACE)
    second = aihub("demo", "--home", home, "--trace", trace, "--result", tmp_path / "two.json")
    assert second.returncode == 0, second.stdout + second.stderr
    table = checked(tmp_path / "two.json", 300)
    assert table["input_tokens"] == sum(100 + n for n in range(300))
    assert table["output_tokens"] == sum(n % 50 for n in range(300))
    assert not (home / "run.json").exists()
    assert processes_of(home) == []


@contextlib.asynccontextmanager
async def up(home: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A stack that is up; killed with everything it started when the block ends with it still alive."""
    process = await asyncio.create_subprocess_exec(
        AIHUB,
        "up",
        "--home",
        str(home),
        *arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while not (await process.stdout.readline()).startswith(b"details"):
                assert process.returncode is None
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def run_info(home: Path) -> dict[str, Any]:
    return json.loads((home / "run.json").read_text())


@pytest.mark.timeout(300)
async def test_what_got_a_202_survives_kill_9_of_the_whole_tree(home: Path) -> None:
    accepted: set[str] = set()

    async def send(client: HubClient) -> None:
        for batch in range(10_000):
            events = [
                {
                    "specversion": "1.0",
                    "type": "usage.recorded.v1",
                    "source": "urn:test:kill",
                    "id": f"{batch}-{n}",
                    "data": {"service": "chat", "model": "gpt-4o", "input_tokens": 10},
                }
                for n in range(50)
            ]
            await client.send(events)
            accepted.update(event["id"] for event in events)

    async with up(home) as process:
        info = run_info(home)
        assert (home / "run.json").stat().st_mode & 0o777 == 0o600
        assert set(info) == {"url", "admin_api_key", "pid", "kafka_bootstrap", "postgres_dsn", "roles"}
        async with HubClient(info["url"], info["admin_api_key"]) as client:
            sending = asyncio.ensure_future(send(client))
            await eventually(lambda: len(accepted) >= 1_000, within_s=60)
            process.kill()
            sending.cancel()
            await asyncio.wait((sending,))
    await eventually(lambda: processes_of(home) == [], within_s=20)

    async with up(home) as process:
        info = run_info(home)
        async with HubClient(info["url"], info["admin_api_key"]) as client:
            second = await asyncio.to_thread(aihub, "up", "--home", home)
            assert second.returncode == 3
            assert f"in use by process {process.pid}" in second.stderr

            async def complete() -> bool:
                totals = (await client.get("/v1/analytics/summary"))["data"]["totals"]
                return totals["events"] >= len(accepted) and totals["credits_micros"] == totals["events"] * 100_000

            await eventually(complete, within_s=90, every_s=0.3)
            for event_id in sorted(accepted)[:: max(1, len(accepted) // 20)]:
                journey = (await client.get(f"/v1/events/{event_id}"))["data"]
                assert journey["charged"]["amount_micros"] == 100_000
        books = await asyncio.to_thread(aihub, "reconcile", "--home", home, "--json")
        assert books.returncode == 0, books.stdout + books.stderr
        report = json.loads(books.stdout)
        assert report["clean"] is True
        assert report["compared"]["analytics"] >= len(accepted)
        doctor = await asyncio.to_thread(aihub, "doctor", "--home", home)
        assert doctor.returncode == 0, doctor.stdout
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await process.wait() == 0
    assert not (home / "run.json").exists()
    assert processes_of(home) == []
    after = aihub("reconcile", "--home", home)
    assert (after.returncode, after.stdout.splitlines()[-1]) == (0, "clean")


@pytest.mark.timeout(200)
async def test_an_import_is_resumed_and_counts_nothing_twice(home: Path, tmp_path: Path) -> None:
    rows = tmp_path / "usage.csv"
    rows.write_text("model,input_tokens,output_tokens\n" + "".join(f"gpt-4o,{n},1\n" for n in range(1, 1_201)))
    async with up(home) as process:
        info = run_info(home)
        first = await asyncio.to_thread(aihub, "import", rows, "--home", home, "--json")
        assert first.returncode == 0, first.stdout + first.stderr
        assert json.loads(first.stdout)["accepted"] == 1_200
        state = tmp_path / ".usage.csv.aihub"
        assert not state.exists()
        again = await asyncio.to_thread(aihub, "import", rows, "--home", home)
        assert again.returncode == 0
        async with HubClient(info["url"], info["admin_api_key"]) as client:

            async def complete() -> dict[str, Any] | None:
                totals = (await client.get("/v1/analytics/summary"))["data"]["totals"]
                return totals if totals["events"] == 1_200 else None

            totals = await eventually(complete, within_s=30)
            assert totals["input_tokens"] == sum(range(1, 1_201))
        bad = tmp_path / "bad.csv"
        bad.write_text("model,input_tokens\ngpt-4o,5\ngpt-4o,9999999999999\n")
        refused = await asyncio.to_thread(aihub, "import", bad, "--home", home)
        assert refused.returncode == 1
        assert "row 2" in refused.stderr
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(30):
            assert await process.wait() == 0


def test_wrong_use_is_one_line_and_an_exit_code(home: Path, tmp_path: Path) -> None:
    missing = aihub("demo", "--home", home, "--trace", tmp_path / "none.csv")
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)
    assert "no such file" in missing.stderr
    nothing_runs = aihub("dead-letters", "list", "--home", home)
    assert nothing_runs.returncode == 3
    assert "aihub up" in nothing_runs.stderr
    role = aihub("run", "imagined")
    assert role.returncode == 3
    assert "credits" in role.stderr
    assert aihub("imagined").returncode == 2
    no_home = aihub("reconcile", "--home", home)
    assert no_home.returncode == 3
