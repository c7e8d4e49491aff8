"""Groups, restarts, replays and drains, on a real broker."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

import pytest

from consumers.batch import Batch, Record
from contracts.errors import AnalyticsUnavailable
from contracts.topics import USAGE
from infra.embedded.engines import Engines
from infra.kafka import commits
from infra.kafka.admin import admin_client
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.kafka.subscriber import Tuning
from infra.telemetry import metrics
from tests.consumers.runtime.conftest import Build, Collector, Committed
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.kafka import NOON, broker_down, running, usage, values

ORGANIZATIONS = [f"org_{number}" for number in range(12)]
QUICK = Tuning(heartbeat_interval_ms=200)


async def publish(producer: Producer, numbers: Sequence[int]) -> set[str]:
    """Events spread over all partitions; their ids."""
    for organization in ORGANIZATIONS:
        mine = [number for number in numbers if ORGANIZATIONS[number % len(ORGANIZATIONS)] == organization]
        await producer.send(USAGE, organization, values([usage(number, organization) for number in mine]))
    return {f"evt_{number}" for number in numbers}


async def test_each_partition_is_handled_in_order_and_once(
    build: Build, producer: Producer, committed: Committed
) -> None:
    sent = await publish(producer, range(3000))
    handled = Collector()
    async with running(build(handled, max_records=100)):
        await eventually(lambda: len(handled.ids) >= 3000)
    assert set(handled.ids) == sent
    assert len(handled.ids) == 3000
    for partition in range(3):
        offsets = [offset for number, offset in handled.places if number == partition]
        assert offsets == list(range(len(offsets)))
        assert offsets
    assert await committed() == 3000


async def test_batches_hold_no_more_than_was_asked_for(build: Build, producer: Producer) -> None:
    await publish(producer, range(600))
    sizes: list[int] = []

    async def handler(batch: Batch[Record]) -> None:
        sizes.append(len(batch.records))

    async with running(build(handler, max_records=64)):
        await eventually(lambda: sum(sizes) == 600)
    assert max(sizes) == 64


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


async def all_committed(build: Build, count: int) -> None:
    """The group has handled and committed so many records."""
    handled = Collector()
    async with running(build(handled)):
        await eventually(lambda: len(handled.ids) == count)


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


async def test_two_members_share_the_partitions_and_the_other_takes_over(
    build: Build, producer: Producer, committed: Committed
) -> None:
    one, two = Collector(), Collector()
    first, second = build(one, tuning=QUICK), build(two, tuning=QUICK)
    stop = asyncio.Event()
    async with running(first):
        sent = await publish(producer, range(600))
        await eventually(lambda: len(one.ids) == 600)
        task = asyncio.create_task(second.run(stop))
        await eventually(lambda: first._member.assignments > 1 and second._member.assignments > 0)
        sent |= await publish(producer, range(600, 1800))
        await eventually(lambda: set(one.ids) | set(two.ids) == sent, within_s=20)
        assert two.ids, "the second member had a share"
        stop.set()
        await task
        sent |= await publish(producer, range(1800, 2400))
        await eventually(lambda: set(one.ids) | set(two.ids) == sent, within_s=20)
    await eventually(committed)
    assert await committed() == 2400


async def test_a_rebalance_waits_for_the_batch_in_hand_so_that_it_is_not_done_twice(
    build: Build, producer: Producer
) -> None:
    sent = await publish(producer, range(300))
    began, go = asyncio.Event(), asyncio.Event()
    one, two = Collector(), Collector()

    async def slow(batch: Batch[Record]) -> None:
        began.set()
        await go.wait()
        await one(batch)

    first, second = build(slow, tuning=QUICK), build(two, tuning=QUICK)
    async with running(first):
        await began.wait()
        async with running(second):
            await eventually(lambda: first._member.assignments == 2)
            go.set()
            await eventually(lambda: set(one.ids) | set(two.ids) == sent, within_s=20)
    assert len(one.ids) + len(two.ids) == 300


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
        await eventually(lambda: _all_of(committed, 30))


async def _all_of(committed: Committed, wanted: int) -> bool:
    return await committed() == wanted


async def test_a_batch_whose_partitions_were_lost_is_no_bug(build: Build, producer: Producer) -> None:
    await publish(producer, range(300))
    handled = Collector()
    # Only a batch that waits for its turn holds up the polls: so there must be one.
    tuning = Tuning(max_records=20, session_timeout_ms=6_000, heartbeat_interval_ms=200, max_poll_interval_ms=500)
    app = build(handled, tuning=tuning)
    blocked = True

    async def blocking(batch: Batch[Record]) -> None:
        nonlocal blocked
        if blocked:
            blocked = False
            await eventually(lambda: app._member.assignments >= 2, within_s=20)
        await handled(batch)

    app._effects.handler = blocking
    async with running(app):
        await eventually(lambda: len(set(handled.ids)) == 300, within_s=20)
        await eventually(lambda: app.progress.total_lag == 0 and app.progress.healthy)


async def test_it_goes_on_after_the_broker_was_restarted(
    engines: Engines, build: Build, producer: Producer, committed: Committed
) -> None:
    handled = Collector()
    async with running(build(handled)):
        sent = await publish(producer, range(300))
        await eventually(lambda: len(handled.ids) == 300)
        async with broker_down(engines):
            await eventually(lambda: not producer.healthy)
        await eventually(lambda: producer.healthy, within_s=20)
        sent |= await publish(producer, range(300, 600))
        await eventually(lambda: set(handled.ids) == sent, within_s=30)
    await eventually(committed)


async def test_it_waits_for_a_broker_that_is_not_there_yet(engines: Engines, build: Build, producer: Producer) -> None:
    sent = await publish(producer, range(30))
    handled = Collector()
    app = build(handled)
    async with broker_down(engines):
        stop = asyncio.Event()
        task = asyncio.create_task(app.run(stop))
        await eventually(lambda: app.progress.waiting_for is not None)
    await eventually(lambda: set(handled.ids) == sent, within_s=30)
    stop.set()
    await task


async def test_a_stop_lets_the_batch_in_hand_end_and_commits_it(
    build: Build, producer: Producer, committed: Committed
) -> None:
    await publish(producer, range(30))
    began, go, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
    handled = Collector()

    async def slow(batch: Batch[Record]) -> None:
        began.set()
        await go.wait()
        await handled(batch)

    task = asyncio.create_task(build(slow, max_records=10).run(stop))
    await began.wait()
    stop.set()
    asyncio.get_running_loop().call_later(0.3, go.set)
    started = time.monotonic()
    await task
    assert time.monotonic() - started < 15
    assert len(handled.ids) == await committed() == 10


async def test_a_stop_while_it_waits_for_a_dependency_is_quick(build: Build, producer: Producer) -> None:
    await publish(producer, range(30))
    tries = 0

    async def handler(batch: Batch[Record]) -> None:
        nonlocal tries
        tries += 1
        raise AnalyticsUnavailable("ClickHouse is away")

    app = build(handler)
    async with running(app):
        await eventually(lambda: tries >= 6)
        started = time.monotonic()
    assert time.monotonic() - started < 2


async def test_a_handler_that_hangs_does_not_keep_the_process_from_ending(build: Build, producer: Producer) -> None:
    await publish(producer, range(30))
    began = asyncio.Event()

    async def hanging(batch: Batch[Record]) -> None:
        began.set()
        await asyncio.Event().wait()

    async with running(build(hanging, tuning=Tuning(drain_ms=500))):
        await began.wait()
        started = time.monotonic()
    assert time.monotonic() - started < 4


async def test_lag_and_age_are_told_and_go_down_to_nothing(
    build: Build, producer: Producer, clock: FakeClock, kafka: KafkaOptions, group: str
) -> None:
    go = asyncio.Event()

    async def slow(batch: Batch[Record]) -> None:
        await go.wait()

    def oldest() -> float:
        return metrics.REGISTRY.get_sample_value("aihub_consumer_oldest_unprocessed_seconds", {"consumer": group}) or 0

    app = build(slow)
    await publish(producer, range(300))
    clock.set(NOON + timedelta(days=10_000))
    async with running(app):
        await eventually(lambda: app.progress.total_lag == 300 and oldest() > 0)
        go.set()
        await eventually(lambda: app.progress.total_lag == 0 and app.progress.processed == 300)
        assert oldest() == 0
        assert app.progress.accepted_through == NOON
        assert app.progress.healthy


async def test_a_member_leaves_its_group_so_that_its_successor_need_not_wait(
    build: Build, producer: Producer, kafka: KafkaOptions, group: str
) -> None:
    async def members() -> int:
        async with admin_client(kafka) as client:
            [answer] = await client.describe_consumer_groups([kafka.group(group)])
        return len(answer.to_object()["groups"][0]["members"])

    await publish(producer, range(30))
    handled = Collector()
    async with running(build(handled)):
        await eventually(lambda: len(handled.ids) == 30)
        assert await members() == 1
    assert await members() == 0


async def test_a_stop_while_the_broker_is_away_is_bounded(engines: Engines, build: Build, producer: Producer) -> None:
    sent = await publish(producer, range(30))
    handled = Collector()
    stop = asyncio.Event()
    task = asyncio.create_task(build(handled).run(stop))
    await eventually(lambda: set(handled.ids) == sent)
    async with broker_down(engines):
        stop.set()
        started = time.monotonic()
        await task
        assert time.monotonic() - started < 15


async def test_a_reader_that_died_inside_aiokafka_stops_the_consumer(build: Build, producer: Producer) -> None:
    sent = await publish(producer, range(30))
    handled = Collector()
    app = build(handled)
    task = asyncio.create_task(app.run(asyncio.Event()))
    await eventually(lambda: set(handled.ids) == sent)
    app._member._running()._fetcher._fetch_task.cancel()
    with pytest.raises(RuntimeError, match="fetcher has ended"):
        async with asyncio.timeout(10):
            await task
