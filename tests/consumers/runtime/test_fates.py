"""The three fates of a bad record, on a real broker."""

import asyncio
import random

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from consumers import runtime
from consumers.batch import Batch, Record
from contracts import catalog
from contracts.errors import DatabaseUnavailable, IdentityConflict, InvalidRecord, TooManyDeadLetters
from contracts.topics import DEAD_LETTERS, USAGE
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.kafka.subscriber import Tuning
from tests.consumers.runtime.conftest import Build, Collector, Committed
from tests.support.eventually import eventually
from tests.support.kafka import running, usage, values, whole_log


async def test_one_unreadable_and_one_invalid_record_of_500_are_parked_and_the_498_go_on(
    build: Build, producer: Producer, kafka: KafkaOptions, committed: Committed
) -> None:
    records = values([usage(number) for number in range(500)])
    records[100] = b'{"specversion": "1.0", "id": \xff'
    records[300] = records[300].replace(b'"input_tokens":', b'"input_tokens":-')
    placed = await producer.send(USAGE, "org_1", records, [("traceparent", b"00-1"), ("odd", b"\xff\xfe")])
    handled = Collector()
    async with running(build(handled)):
        await eventually(lambda: len(handled.ids) >= 498)
        await eventually(committed)
    assert handled.ids == [f"evt_{number}" for number in range(500) if number not in (100, 300)]
    assert await committed() == 500
    letters = await whole_log(kafka, DEAD_LETTERS)
    found = {dict(letter.headers)["reason"]: letter for letter in letters}
    assert found.keys() == {b"unreadable_record", b"invalid_record"}
    assert len(letters) == 2
    unreadable = dict(found[b"unreadable_record"].headers)
    assert found[b"unreadable_record"].value == records[100]
    assert found[b"unreadable_record"].key == b"org_1"
    assert unreadable["topic"] == USAGE.name.encode()
    assert (int(unreadable["partition"]), int(unreadable["offset"])) == (placed.partition, placed.offsets[100])
    assert unreadable["original-odd"] == b"\xff\xfe"
    assert b"/data/input_tokens" in dict(found[b"invalid_record"].headers)["message"]
    assert dict(found[b"invalid_record"].headers)["parked-at"] == b"2026-11-23T12:00:00.000000Z"


async def test_a_record_that_the_handler_parks_is_dead_lettered_before_the_commit(
    build: Build, producer: Producer, kafka: KafkaOptions
) -> None:
    await producer.send(USAGE, "org_1", values([usage(number) for number in range(5)]))
    handled = Collector()

    async def handler(batch: Batch[Record]) -> None:
        await handled(batch)
        batch.park(batch.records[3], IdentityConflict("another body"))

    async with running(build(handler)):
        await eventually(lambda: len(handled.ids) == 5)
    [letter] = await whole_log(kafka, DEAD_LETTERS)
    assert dict(letter.headers)["reason"] == b"identity_conflict"
    assert catalog.decode(letter.value or b"")[0].id == "evt_3"


async def test_a_batch_that_the_handler_refuses_loses_only_the_record_at_fault(
    build: Build, producer: Producer, kafka: KafkaOptions
) -> None:
    await producer.send(USAGE, "org_1", values([usage(number) for number in range(33)]))
    handled = Collector()

    async def handler(batch: Batch[Record]) -> None:
        if any(record.envelope.id == "evt_17" for record in batch.records):
            raise InvalidRecord("no such thing")
        await handled(batch)

    async with running(build(handler)):
        await eventually(lambda: len(handled.ids) == 32)
    assert handled.ids == [f"evt_{number}" for number in range(33) if number != 17]
    [letter] = await whole_log(kafka, DEAD_LETTERS)
    assert catalog.decode(letter.value or b"")[0].id == "evt_17"


async def test_a_record_without_a_value_is_parked(build: Build, producer: Producer, kafka: KafkaOptions) -> None:
    await producer.send(USAGE, "org_1", [None, *values([usage(1)])])
    handled = Collector()
    async with running(build(handled)):
        await eventually(lambda: handled.ids == ["evt_1"])
    [letter] = await whole_log(kafka, DEAD_LETTERS)
    assert letter.value is None


async def test_a_bug_stops_the_consumer_with_nothing_committed_and_the_next_one_gets_the_batch(
    build: Build, producer: Producer, kafka: KafkaOptions, committed: Committed
) -> None:
    await producer.send(USAGE, "org_1", values([usage(number) for number in range(10)]))
    calls = 0

    async def handler(batch: Batch[Record]) -> None:
        nonlocal calls
        calls += 1
        raise KeyError("a bug")

    app = build(handler)
    with pytest.raises(KeyError, match="a bug"):
        async with asyncio.timeout(20):
            await app.run(asyncio.Event())
    assert calls == 1, "it does not read on after a bug"
    assert not app.progress.healthy
    assert await committed() == 0
    handled = Collector()
    async with running(build(handled)):
        await eventually(lambda: len(handled.ids) == 10)
    assert len(handled.ids) == 10


async def test_a_dependency_that_is_down_is_waited_for_with_the_partitions_kept(
    build: Build, producer: Producer, kafka: KafkaOptions, committed: Committed
) -> None:
    await producer.send(USAGE, "org_1", values([usage(number) for number in range(30)]))
    handled, down, tries = Collector(), True, 0

    async def handler(batch: Batch[Record]) -> None:
        nonlocal tries
        tries += 1
        if down:
            raise DatabaseUnavailable("PostgreSQL is away")
        await handled(batch)

    app = build(handler, tuning=Tuning(max_poll_interval_ms=1_500))
    async with running(app):
        await eventually(lambda: tries >= 8, within_s=20)  # some 3 s: past max_poll_interval twice
        assert app.progress.waiting_for == "PostgreSQL is away"
        assert app._member.assignments == 1, "no rebalance happened"
        assert await committed() == 0
        await producer.send(USAGE, "org_2", values([usage(100, "org_2")]))
        down = False
        await eventually(lambda: len(handled.ids) >= 31)
    assert sorted(handled.ids) == sorted([f"evt_{number}" for number in range(30)] + ["evt_100"])
    assert await committed() == 31
    assert app.progress.waiting_for is None
    assert await whole_log(kafka, DEAD_LETTERS) == []


async def test_too_many_dead_letters_in_a_row_stop_the_consumer(
    build: Build, producer: Producer, kafka: KafkaOptions, committed: Committed
) -> None:
    await producer.send(USAGE, "org_1", [b"not an event"] * 60)
    app = build(Collector(), max_dead_letters=50)
    with pytest.raises(TooManyDeadLetters, match="last deploy"):
        async with asyncio.timeout(20):
            await app.run(asyncio.Event())
    assert await committed() == 0
    assert await whole_log(kafka, DEAD_LETTERS) == []


async def test_identity_conflicts_alone_never_stop_a_consumer(
    build: Build, producer: Producer, kafka: KafkaOptions
) -> None:
    await producer.send(USAGE, "org_1", values([usage(number) for number in range(60)]))
    seen = 0

    async def handler(batch: Batch[Record]) -> None:
        nonlocal seen
        seen += len(batch.records)
        for record in batch.records:
            batch.park(record, IdentityConflict("another body"))

    async with running(build(handler, max_dead_letters=50)):
        await eventually(lambda: seen == 60)
    assert len(await whole_log(kafka, DEAD_LETTERS)) == 60


async def test_bad_records_with_good_ones_between_are_not_in_a_row(
    build: Build, producer: Producer, kafka: KafkaOptions
) -> None:
    mixed = [b"bad" if number % 10 else values([usage(number)])[0] for number in range(200)]
    await producer.send(USAGE, "org_1", mixed)
    handled = Collector()
    async with running(build(handled, max_dead_letters=50)):
        await eventually(lambda: len(handled.ids) == 20)
    assert len(await whole_log(kafka, DEAD_LETTERS)) == 180


async def test_the_largest_record_that_a_topic_takes_can_still_be_parked(
    build: Build, producer: Producer, kafka: KafkaOptions
) -> None:
    huge = random.Random(1).randbytes(USAGE.max_message_bytes - 1_000)
    await producer.send(USAGE, "org_1", [huge])
    await producer.send(USAGE, "org_1", values([usage(1)]))
    handled = Collector()
    async with running(build(handled)):
        await eventually(lambda: handled.ids == ["evt_1"], within_s=30)
    [letter] = await whole_log(kafka, DEAD_LETTERS)
    assert letter.value == huge


async def test_a_batch_is_one_span_linked_to_the_traces_of_its_records(
    build: Build, producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(runtime, "_tracer", provider.get_tracer("test"))
    traces = [f"{number:032x}" for number in (1, 2, 1, 3)]
    for number, traced in enumerate(traces):
        header = ("traceparent", f"00-{traced}-{1:016x}-01".encode())
        await producer.send(USAGE, "org_1", values([usage(number)]), [header])
    await producer.send(USAGE, "org_1", values([usage(9)]), [("traceparent", b"\xffnonsense")])
    handled = Collector()
    async with running(build(handled)):
        await eventually(lambda: len(handled.ids) == 5)
    linked = [f"{link.context.trace_id:032x}" for span in spans.get_finished_spans() for link in span.links]
    assert sorted(linked) == sorted(set(traces))
    assert all(span.name.endswith("group batch") for span in spans.get_finished_spans())
    provider.shutdown()
