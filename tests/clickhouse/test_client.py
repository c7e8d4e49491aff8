"""Statements from many tasks at once, deadlines and bounds."""

import asyncio
import time

import pytest

from contracts.errors import AnalyticsUnavailable
from infra.clickhouse import client
from infra.clickhouse.client import ClickHouse


async def test_more_tasks_than_threads_take_turns(clickhouse: ClickHouse) -> None:
    await clickhouse.command("CREATE TABLE numbers_kept (n UInt64) ENGINE = MergeTree ORDER BY n")
    await asyncio.gather(*(clickhouse.insert("numbers_kept", [[n, n]], ["n"], ["UInt64"]) for n in range(40)))
    answers = await asyncio.gather(*(clickhouse.query("SELECT sum(n) AS s FROM numbers_kept") for _ in range(40)))
    assert answers == [[{"s": 2 * sum(range(40))}]] * 40


async def test_a_long_statement_does_not_hold_up_the_others(clickhouse: ClickHouse) -> None:
    slow = asyncio.create_task(clickhouse.query("SELECT sleepEachRow(0.5) FROM numbers(3) SETTINGS max_block_size = 1"))
    began = time.monotonic()
    await clickhouse.query("SELECT 1")
    assert not slow.done()
    assert time.monotonic() - began < 1
    await slow


async def test_a_statement_beyond_its_deadline_is_unavailable(clickhouse: ClickHouse) -> None:
    with pytest.raises(AnalyticsUnavailable):
        await clickhouse.query("SELECT sleep(1)", deadline_s=0.1)
    await clickhouse.ping()


async def test_what_the_engine_cuts_for_its_time_is_unavailable(clickhouse: ClickHouse) -> None:
    with pytest.raises(AnalyticsUnavailable):
        await clickhouse.query("SELECT count() FROM numbers(100000000000) SETTINGS max_execution_time = 0.1")


async def test_a_crowd_is_turned_away_instead_of_kept_in_memory(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MAX_WAITING", 3)
    answers = await asyncio.gather(*(clickhouse.ping() for _ in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [type(None)] * 3 + [AnalyticsUnavailable] * 2


async def test_each_database_is_its_own(clickhouse: ClickHouse) -> None:
    (row,) = await clickhouse.query("SELECT currentDatabase() AS name")
    assert row["name"] == clickhouse.database
    assert (await clickhouse.version()).count(".") >= 2
