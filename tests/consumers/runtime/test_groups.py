"""Members of a group share its partitions, on a real broker."""

import asyncio
from datetime import timedelta

from consumers.batch import Batch, Record
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.kafka.subscriber import Tuning
from infra.telemetry import metrics
from tests.consumers.runtime.conftest import Build, Collector, Committed
from tests.consumers.runtime.members import QUICK, publish
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.kafka import NOON, running


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
