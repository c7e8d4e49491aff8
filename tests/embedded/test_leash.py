"""No server outlives its parent, however the parent ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.embedded.errors import EmbeddedError
from infra.embedded.process import Launch, run, spawn
from tests.embedded.conftest import ROOT, alive
from tests.support.eventually import eventually

STUBBORN = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)"
OBEDIENT = "import time\nprint('up', flush=True)\ntime.sleep(60)"

PARENT = """
import asyncio, signal, sys
from pathlib import Path
from infra.embedded.process import Launch, spawn
async def main():
    here = Path(sys.argv[1])
    launch = Launch([sys.executable, "-c", sys.argv[2]], here / "lock", here / "log", here, signal.SIGTERM, 0.3)
    process = await spawn(launch)
    while process.pid is None: await asyncio.sleep(0.01)
    print(process.pid, flush=True)
    await process.wait()
asyncio.run(main())
"""


def launch(here: Path, code: str, grace_s: float = 5.0) -> Launch:
    return Launch([sys.executable, "-c", code], here / "lock", here / "log", here, signal.SIGTERM, grace_s)


async def is_up(here: Path) -> None:
    await eventually(lambda: (here / "log").exists() and (here / "log").read_text() == "up\n")


async def test_the_exit_code_of_a_command_comes_back(tmp_path: Path) -> None:
    assert await run(launch(tmp_path, "raise SystemExit(7)"), timeout_s=10) == 7


async def test_a_signal_that_ended_the_server_shows_in_its_exit_code(tmp_path: Path) -> None:
    server = await spawn(launch(tmp_path, OBEDIENT))
    await is_up(tmp_path)
    await server.kill()
    assert server.returncode == 128 + signal.SIGKILL


async def test_a_server_is_stopped_with_its_own_signal(tmp_path: Path) -> None:
    server = await spawn(launch(tmp_path, OBEDIENT))
    await is_up(tmp_path)
    await server.stop()
    assert server.returncode == 128 + signal.SIGTERM


async def test_a_server_that_does_not_stop_is_killed_after_its_grace(tmp_path: Path) -> None:
    server = await spawn(launch(tmp_path, STUBBORN, grace_s=0.2))
    await is_up(tmp_path)
    await server.stop()
    assert server.returncode == 128 + signal.SIGKILL


async def test_a_command_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    assert await run(launch(tmp_path, OBEDIENT), timeout_s=0.3) == 124


@pytest.mark.parametrize("code", [OBEDIENT, STUBBORN])
async def test_the_server_dies_when_its_parent_is_killed_with_9(tmp_path: Path, code: str) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path), code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        await is_up(tmp_path)
        parent.kill()
    await eventually(lambda: not alive(pid), within_s=5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_the_leash_stops_the_server(tmp_path: Path, number: signal.Signals) -> None:
    server = await spawn(launch(tmp_path, OBEDIENT))
    await is_up(tmp_path)
    os.kill(int((tmp_path / "lock").read_text().split()[0]), number)
    assert await server.wait() == 128 + signal.SIGTERM
    server.let_go()


@pytest.mark.parametrize("linux", [sys.platform == "linux"])
async def test_on_linux_the_server_even_dies_with_its_leash(tmp_path: Path, linux: bool) -> None:
    server = await spawn(launch(tmp_path, OBEDIENT))
    await is_up(tmp_path)
    leash, pid = map(int, (tmp_path / "lock").read_text().split())
    os.kill(leash, signal.SIGKILL)
    if not linux:
        os.kill(pid, signal.SIGKILL)
    await eventually(lambda: not alive(pid), within_s=5)
    await server.stop()


async def test_other_children_do_not_hold_the_leash(tmp_path: Path) -> None:
    server = await spawn(launch(tmp_path, OBEDIENT))
    await is_up(tmp_path)
    with subprocess.Popen([sys.executable, "-c", OBEDIENT], stdout=subprocess.DEVNULL) as other:
        await server.stop()
        assert other.poll() is None
        other.kill()


async def test_the_next_start_waits_for_a_server_that_is_still_stopping(tmp_path: Path) -> None:
    first = await spawn(launch(tmp_path, STUBBORN, grace_s=0.3))
    await is_up(tmp_path)
    old = first.pid
    assert old is not None
    first.let_go()
    second = await spawn(launch(tmp_path, OBEDIENT))
    assert not alive(old)
    await first.stop()
    await second.stop()


async def test_the_next_start_kills_a_server_that_nobody_stops(tmp_path: Path) -> None:
    forgotten = await spawn(launch(tmp_path, STUBBORN))
    await is_up(tmp_path)
    second = await spawn(launch(tmp_path, OBEDIENT, grace_s=-1.8))
    assert forgotten.returncode is not None
    forgotten.let_go()
    await second.stop()


async def test_a_command_that_does_not_exist_is_told_in_the_log(tmp_path: Path) -> None:
    nowhere = Launch(["/nowhere"], tmp_path / "lock", tmp_path / "log", tmp_path, signal.SIGTERM, 1)
    assert await run(nowhere, timeout_s=10) == 127
    assert "cannot run /nowhere" in (tmp_path / "log").read_text()


def test_start_up_errors_are_of_the_one_tree() -> None:
    assert EmbeddedError("x").code == "engine"
