"""The shorter commands, against a stack that runs and against one that does not."""

import asyncio
import json
from pathlib import Path

import pytest

from contracts.topics import USAGE
from infra.http.hub_client import HubClient
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from tests.flows.test_processes import aihub, run_info, up
from tests.support.eventually import eventually


@pytest.mark.timeout(200)
async def test_dead_letters_are_listed_dropped_and_redriven(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with up(home):
        info = run_info(home)
        empty = await asyncio.to_thread(aihub, "dead-letters", "list", "--home", home)
        assert (empty.returncode, empty.stdout) == (0, "no dead letters are parked\n")
        producer = Producer(KafkaOptions(info["kafka_bootstrap"]))
        await producer.start()
        await producer.send(USAGE, "org_acme", [b"not an event", b"neither is this"])
        await producer.stop()
        async with HubClient(info["url"], info["admin_api_key"]) as client:

            async def parked() -> list[dict]:
                return (await client.get("/v1/admin/dead-letters?consumer=aihub.credits"))["data"][1:]

            await eventually(parked, within_s=30)
        command = ("dead-letters", "list", "--home", home, "--consumer", "aihub.credits")
        shown = await asyncio.to_thread(aihub, *command)
        assert shown.stdout.count("unreadable_record") == 2
        assert "aihub.usage.v1/" in shown.stdout
        letters = json.loads((await asyncio.to_thread(aihub, *command, "--json")).stdout)
        dropped = await asyncio.to_thread(aihub, "dead-letters", "drop", letters[0]["id"], "--home", home)
        assert (dropped.returncode, dropped.stdout) == (0, "1 dead letters: drop done\n")
        redriven = await asyncio.to_thread(
            aihub, "dead-letters", "redrive", "--home", home, "--consumer", "aihub.credits"
        )
        assert (redriven.returncode, redriven.stdout) == (0, "1 dead letters: redrive done\n")
        unknown = await asyncio.to_thread(aihub, "dead-letters", "drop", "dl_" + "0" * 32, "--home", home)
        assert unknown.returncode == 1
        assert "404" in unknown.stderr


@pytest.mark.timeout(200)
def test_engines_are_migrated_and_seeded_without_a_stack(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    first = aihub("migrate", "--home", home, "--json")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["postgres"].startswith("empty -> ")
    again = aihub("migrate", "--home", home)
    assert "up to date" in again.stdout
    seeded = aihub("seed", "--home", home)
    assert seeded.returncode == 0, seeded.stderr
    assert {key[:11] for key in json.loads(seeded.stdout).values()} == {"aihub_live_"}
    doctor = aihub("doctor", "--home", home, "--json")
    findings = {finding["name"]: finding["fine"] for finding in json.loads(doctor.stdout)}
    assert doctor.returncode == 0, findings
    assert {"python", "disk", "memory", "kafka", "postgres", "clickhouse"} <= set(findings)
