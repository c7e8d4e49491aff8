"""While one batch is at work the next one is made ready: what becomes of it, on a real broker."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from consumers.batch import Batch, Read, Record, decoded
from contracts.errors import DatabaseUnavailable
from contracts.topics import USAGE
from infra.kafka.log import LogRecord
from infra.kafka.producer import Producer
from tests.consumers.runtime.conftest import Build, Collector, Committed
from tests.consumers.runtime.members import QUICK, publish
from tests.support.eventually import eventually
from tests.support.kafka import running, usage, values


class Decoder:
    """Decodes, and remembers how many records it was given."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, records: Sequence[LogRecord]) -> Read[Record]:
        self.count += len(records)
        return decoded(records)


class Held(Collector):
    """A handler that holds its first batch until `go`."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.calls = 0

    async def __call__(self, batch: Batch[Record]) -> None:
        self.calls += 1
        await self.go.wait()
        await super().__call__(batch)


async def test_the_next_batch_is_decoded_meanwhile_and_handled_only_after_the_commit(
    build: Build, producer: Producer, committed: Committed
) -> None:
    await producer.send(USAGE, "org_1", values([usage(number) for number in range(30)]))
    handled, decoder, behind = Held(), Decoder(), []

    async def handler(batch: Batch[Record]) -> None:
        behind.append(await committed())
        await handled(batch)

    app = build(handler, max_records=10)
    app._decode = decoder
    async with running(app):
        await eventually(lambda: decoder.count == 20 and handled.calls == 1)
        assert app.progress.processed == 0
        handled.go.set()
        await eventually(lambda: len(handled.ids) == 30)
    assert handled.ids == [f"evt_{number}" for number in range(30)]
    assert behind == [0, 10, 20]


async def test_a_batch_that_is_put_back_takes_the_one_that_was_ready_with_it(
    build: Build, producer: Producer, committed: Committed
) -> None:
    sent = await publish(producer, range(1200))
    handled, chance, refused = Collector(), random.Random(3), 0

    async def handler(batch: Batch[Record]) -> None:
        nonlocal refused
        await asyncio.sleep(0)
        if chance.random() < 0.3:
            refused += 1
            raise DatabaseUnavailable("PostgreSQL is away")
        await handled(batch)

    async with running(build(handler, max_records=50)):
        await eventually(lambda: len(handled.ids) >= 1200, within_s=60)
    assert refused > 2
    assert set(handled.ids) == sent
    for partition in range(3):
        offsets = [offset for number, offset in handled.places if number == partition]
        assert offsets == list(range(len(offsets))), "nothing twice, nothing left out, in order"
    assert await committed() == 1200


async def test_a_dependency_that_is_down_is_not_asked_with_the_batch_behind(build: Build, producer: Producer) -> None:
    await producer.send(USAGE, "org_1", values([usage(number) for number in range(30)]))
    firsts: list[str] = []

    async def handler(batch: Batch[Record]) -> None:
        firsts.append(batch.records[0].envelope.id)
        raise DatabaseUnavailable("PostgreSQL is away")

    async with running(build(handler, max_records=10)):
        await eventually(lambda: len(firsts) >= 5)
    assert set(firsts) == {"evt_0"}


async def test_what_was_ready_at_a_rebalance_is_left_to_its_next_owner(
    build: Build, producer: Producer, committed: Committed
) -> None:
    sent = await publish(producer, range(300))
    one, two, decoder = Held(), Collector(), Decoder()
    first, second = build(one, max_records=20), build(two, tuning=QUICK)
    first._decode = decoder
    async with running(first):
        await eventually(lambda: decoder.count == 40)
        async with running(second):
            await eventually(lambda: first._member.assignments == 2)
            one.go.set()
            await eventually(lambda: set(one.ids) | set(two.ids) == sent, within_s=30)
            await eventually(lambda: first.progress.processed + second.progress.processed == 300)
    assert len(one.ids) + len(two.ids) == 300, "nothing was handled twice"
    assert await committed() == 300


async def test_what_was_ready_at_a_stop_is_not_begun(build: Build, producer: Producer, committed: Committed) -> None:
    await producer.send(USAGE, "org_1", values([usage(number) for number in range(30)]))
    handled, decoder, stop = Held(), Decoder(), asyncio.Event()
    app = build(handled, max_records=10)
    app._decode = decoder
    task = asyncio.create_task(app.run(stop))
    await eventually(lambda: decoder.count == 20)
    stop.set()
    await eventually(app._member._over.is_set)
    handled.go.set()
    await task
    assert len(handled.ids) == await committed() == 10
    assert handled.calls == 1


async def test_what_was_ready_behind_a_bug_is_not_begun(build: Build, producer: Producer, committed: Committed) -> None:
    await producer.send(USAGE, "org_1", values([usage(number) for number in range(30)]))
    decoder, calls = Decoder(), 0

    async def handler(batch: Batch[Record]) -> None:
        nonlocal calls
        calls += 1
        await eventually(lambda: decoder.count == 20)
        raise KeyError("a bug")

    app = build(handler, max_records=10)
    app._decode = decoder
    with pytest.raises(KeyError, match="a bug"):
        async with asyncio.timeout(20):
            await app.run(asyncio.Event())
    assert calls == 1
    assert await committed() == 0


async def test_a_bug_in_what_is_being_made_ready_stops_it_after_the_batch_at_work(
    build: Build, producer: Producer, committed: Committed
) -> None:
    await producer.send(USAGE, "org_1", values([usage(number) for number in range(30)]))
    handled = Held()

    def decode(records: Sequence[LogRecord]) -> Read[Record]:
        if records[0].offset >= 10:
            asyncio.get_running_loop().call_later(0.2, handled.go.set)
            raise KeyError("a bug")
        return decoded(records)

    app = build(handled, max_records=10)
    app._decode = decode
    with pytest.raises(KeyError, match="a bug"):
        async with asyncio.timeout(20):
            await app.run(asyncio.Event())
    assert len(handled.ids) == await committed() == 10


async def test_what_is_worked_out_ahead_comes_with_its_batch_and_anew_when_that_comes_again(
    build: Build, producer: Producer
) -> None:
    await producer.send(USAGE, "org_1", values([usage(number) for number in range(30)]))
    worked_out: list[list[int]] = []
    handled: list[int] = []

    async def ahead(records: Sequence[LogRecord]) -> list[int]:
        worked_out.append([record.offset for record in records])
        return worked_out[-1]

    async def handler(batch: Batch[Record]) -> None:
        assert batch.ahead == [record.offset for record in batch.records]
        if len(worked_out) < 4:
            raise DatabaseUnavailable("PostgreSQL is away")
        handled.extend(record.offset for record in batch.records)

    app = build(handler, max_records=10)
    app._ahead = ahead
    async with running(app):
        await eventually(lambda: len(handled) == 30)
    assert handled == list(range(30))
