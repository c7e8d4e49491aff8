"""Stops, restarts and outages of the broker."""

import asyncio
import time

import pytest

from consumers.batch import Batch, Record
from contracts.errors import AnalyticsUnavailable
from infra.embedded.engines import Engines
from infra.kafka.admin import admin_client
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.kafka.subscriber import Tuning
from tests.consumers.runtime.conftest import Build, Collector, Committed
from tests.consumers.runtime.members import publish
from tests.support.eventually import eventually
from tests.support.kafka import broker_down, running


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
