"""Where a group goes on: at its commits, or at what its sink has."""

import asyncio

import pytest

from contracts.errors import AnalyticsUnavailable
from contracts.topics import USAGE
from infra.kafka import commits
from infra.kafka.producer import Producer
from tests.consumers.runtime.conftest import Build, Collector, Committed
from tests.consumers.runtime.members import all_committed, all_of, publish
from tests.support.eventually import eventually
from tests.support.kafka import running, usage, values


async def test_a_replay_from_offset_0_hands_over_everything_again(build: Build, producer: Producer) -> None:
    await publish(producer, range(300))
    first, again = Collector(), Collector()
    async with running(build(first)):
        await eventually(lambda: len(first.ids) == 300)

    async def from_the_start(mine: set[tuple[str, int]]) -> dict[tuple[str, int], int]:
        return dict.fromkeys(mine, 0)

    async with running(build(again, on_assign=from_the_start)):
        await eventually(lambda: len(again.ids) == 300)
    assert sorted(first.places) == sorted(again.places)


async def test_a_sink_goes_on_from_its_own_offsets_where_they_are_behind_what_was_committed(
    build: Build, producer: Producer
) -> None:
    placed = await producer.send(USAGE, "org_1", values([usage(number) for number in range(100)]))
    await all_committed(build, 100)
    handled = Collector()

    async def own(mine: set[tuple[str, int]]) -> dict[tuple[str, int], int]:
        assert mine == {(USAGE.name, number) for number in range(3)}
        return {(USAGE.name, placed.partition): 60}

    async with running(build(handled, on_assign=own)):
        await eventually(lambda: len(handled.ids) == 40)
    assert handled.ids == [f"evt_{number}" for number in range(60, 100)]


async def test_a_sink_that_is_ahead_of_what_was_committed_gets_the_rest_again(build: Build, producer: Producer) -> None:
    await producer.send(USAGE, "org_1", values([usage(number) for number in range(40)]))
    await all_committed(build, 40)
    placed = await producer.send(USAGE, "org_1", values([usage(number) for number in range(40, 100)]))
    handled = Collector()

    async def own(mine: set[tuple[str, int]]) -> dict[tuple[str, int], int]:
        return {(USAGE.name, placed.partition): 90}

    async with running(build(handled, on_assign=own)):
        await eventually(lambda: len(handled.ids) == 60)
    assert handled.ids == [f"evt_{number}" for number in range(40, 100)]


async def test_nothing_is_handed_over_before_the_sink_has_said_where_to_go_on(build: Build, producer: Producer) -> None:
    placed = await producer.send(USAGE, "org_1", values([usage(number) for number in range(100)]))
    await all_committed(build, 100)
    handled, asked = Collector(), 0

    async def own(mine: set[tuple[str, int]]) -> dict[tuple[str, int], int]:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise AnalyticsUnavailable("ClickHouse is away")
        assert handled.ids == []
        return {(USAGE.name, placed.partition): 90}

    async with running(build(handled, on_assign=own)):
        await eventually(lambda: len(handled.ids) == 10)
    assert handled.ids == [f"evt_{number}" for number in range(90, 100)]


async def test_a_sink_that_takes_its_time_is_asked_once(build: Build, producer: Producer) -> None:
    placed = await producer.send(USAGE, "org_1", values([usage(number) for number in range(100)]))
    handled, asked, reports = Collector(), 0, asyncio.Event()

    async def slow(mine: set[tuple[str, int]]) -> dict[tuple[str, int], int]:
        nonlocal asked
        asked += 1
        await reports.wait()
        return {(USAGE.name, placed.partition): 0}

    app = build(handled, on_assign=slow)
    async with running(app):
        await eventually(lambda: asked == 1)
        await asyncio.gather(app._member.place(), app._member.place())
        assert asked == 1, "the assignment's own question is still open"
        reports.set()
        await eventually(lambda: len(handled.ids) >= 100)
        await app._member.place()
    assert handled.ids == [f"evt_{number}" for number in range(100)]


async def test_only_offsets_of_its_own_partitions_are_committed(
    build: Build, producer: Producer, committed: Committed
) -> None:
    await publish(producer, range(300))
    app = build(Collector())
    async with running(app):
        await eventually(lambda: app.progress.processed == 300)
        before = await committed()
        kept = await app._member.commit({(USAGE.name, 0): 1_000_000, (USAGE.name, 77): 5})
        assert not kept
        assert await app._member.commit({(USAGE.name, 0): 1})
        assert await committed() < before + 1_000_000
        assert (USAGE.name, 77) not in await app._member.end_offsets()


async def test_a_commit_that_the_broker_did_not_answer_is_made_up_for_though_nothing_new_comes(
    build: Build, producer: Producer, committed: Committed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "COMMIT_S", 0.2)
    app = build(Collector())
    async with running(app):
        await eventually(lambda: app.owns_partitions)
        consumer = app._member._running()
        async with consumer._coordinator._commit_lock:  # as if no answer came
            await publish(producer, range(30))
            await eventually(lambda: app.progress.processed == 30)
            assert await committed() == 0
        await eventually(lambda: all_of(committed, 30))
