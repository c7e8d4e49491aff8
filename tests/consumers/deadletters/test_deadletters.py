"""Dead letters are stored with origin and reason, browsed, re-driven and dropped."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.batch import Batch, Parked, Record
from consumers.build import build_app
from consumers.deadletters.app import GROUP, build
from consumers.deadletters.handlers import UNKNOWN, Store, dead_letter_of
from consumers.parking import Streak, dead_letter, explained
from contracts.errors import (
    BadRecord,
    BrokerUnavailable,
    Conflict,
    IdentityConflict,
    InvalidRecord,
    Problem,
    TooManyDeadLetters,
    UnreadableRecord,
)
from contracts.topics import DEAD_LETTERS, USAGE
from infra.embedded.engines import Engines
from infra.kafka.log import LogRecord
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.postgres import trails
from infra.postgres.database import Database
from infra.postgres.trails import DeadLetter, Filter
from infra.telemetry import metrics
from producers import replay
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.kafka import NOON, broker_down, running, usage, values, whole_log

ONE = LogRecord(USAGE, 2, 7, b"org_1", values([usage(1)])[0], (("traceparent", b"00-1"),), 1_000)


def parked(record: LogRecord, error: BadRecord | IdentityConflict, offset: int = 0) -> LogRecord:
    """The record as it stands in the dead-letter topic."""
    headers = dead_letter("aihub.credits", Parked(record, error), NOON)
    return LogRecord(DEAD_LETTERS, 0, offset, record.key, record.value, tuple(headers), 2_000)


async def stored(database: Database, wanted: Filter = Filter()) -> list[DeadLetter]:  # noqa: B008
    async with database.transaction() as tx:
        return await trails.list_dead_letters(tx, wanted)


async def test_a_dead_letter_keeps_origin_reason_and_the_record_itself(database: Database) -> None:
    error = InvalidRecord("No good.", problems=(Problem("/data/x", "wrong", "is wrong"),))
    await Store(database)(Batch([parked(ONE, error)]))
    [letter] = await stored(database)
    assert (letter.consumer, letter.topic, letter.partition, letter.offset) == ("aihub.credits", USAGE.name, 2, 7)
    assert (letter.reason, letter.message) == ("invalid_record", "No good. /data/x: is wrong")
    assert (letter.key, letter.value, letter.headers) == (ONE.key, ONE.value, ONE.headers)
    assert (letter.organization, letter.event_source, letter.event_id) == ("org_1", "/app", "evt_1")
    assert letter.event_type == "usage.recorded.v1"
    assert (letter.parked_at, letter.state, letter.redrives) == (NOON, "parked", 0)


async def test_the_same_batch_again_and_from_many_at_once_stores_nothing_twice(database: Database) -> None:
    records = [parked(ONE._replace(offset=number), UnreadableRecord("no")) for number in range(50)]
    store = Store(database)
    await asyncio.gather(*(store(Batch(records[number:] + records[:number])) for number in range(8)))
    await store(Batch(records))
    assert len(await stored(database)) == 50


@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from(["consumer", "reason", "message", "topic", "partition", "offset", "parked-at", "a\0b"]),
            st.sampled_from([b"", b"1", b"-1", b"\xff", b"a\0b", b"99999999999999999999", b"x" * 3000]) | st.binary(),
        )
    ),
    value=st.none() | st.binary() | st.sampled_from([b'{"id":1}', b"[]", b'{"id":"\\u0000","organization":"o"}']),
    key=st.none() | st.binary(),
)
def test_every_record_of_the_topic_becomes_a_row_that_postgres_can_hold(
    headers: list[tuple[str, bytes]], value: bytes | None, key: bytes | None
) -> None:
    letter = dead_letter_of(LogRecord(DEAD_LETTERS, 1, 5, key, value, tuple(headers), 1_000))
    texts = [letter.consumer, letter.topic, letter.reason, letter.message, letter.organization, letter.event_id]
    for text in filter(None, texts):
        assert "\0" not in text
        text.encode()
    assert 0 <= letter.partition < 2**31
    assert 0 <= letter.offset < 2**63
    assert letter.parked_at.tzinfo
    if letter.consumer == UNKNOWN:
        assert (letter.topic, letter.partition, letter.offset) == (DEAD_LETTERS.name, 1, 5)


async def test_what_no_consumer_of_ours_wrote_is_stored_under_its_own_place_and_never_looped(
    database: Database, kafka: KafkaOptions, producer: Producer, clock: FakeClock
) -> None:
    placed = await producer.send(DEAD_LETTERS, b"\xff\0key", [b"\x00\xff", None], [("odd\0", b"\xff")])

    async def both() -> bool:
        return len(await stored(database)) == 2

    group_app = build(database, kafka=kafka, producer=producer, clock=clock)
    async with running(group_app):
        await eventually(both)
    assert {(letter.topic, letter.offset) for letter in await stored(database)} == {
        (DEAD_LETTERS.name, offset) for offset in placed.offsets
    }
    assert {letter.reason for letter in await stored(database)} == {"unreadable_dead_letter"}
    assert len(await whole_log(kafka, DEAD_LETTERS)) == 2
    assert group_app.name == GROUP


async def test_they_are_listed_newest_first_by_cursor_and_filter(database: Database) -> None:
    store = Store(database)
    for number in range(10):
        error = UnreadableRecord("no") if number % 2 else IdentityConflict("again")
        await store(Batch([parked(ONE._replace(offset=number), error)]))
    async with database.transaction() as tx:
        first = await trails.list_dead_letters(tx, Filter(), limit=4)
        second = await trails.list_dead_letters(tx, Filter(), after=first[-1].id, limit=100)
        odd = await trails.list_dead_letters(tx, Filter(reason="unreadable_record", organization="org_1"))
        none = await trails.list_dead_letters(tx, Filter(consumer="another"))
        counts = await trails.count_parked(tx)
    assert [letter.offset for letter in first + second] == list(reversed(range(10)))
    assert [letter.offset for letter in odd] == [9, 7, 5, 3, 1]
    assert none == []
    assert counts == {("aihub.credits", "unreadable_record"): 5, ("aihub.credits", "identity_conflict"): 5}
    labels = {"consumer": "aihub.credits", "reason": "unreadable_record"}
    assert metrics.REGISTRY.get_sample_value("aihub_dead_letters_parked", labels) == 5


async def test_after_a_fix_they_are_redriven_and_handled(
    database: Database, kafka: KafkaOptions, producer: Producer, clock: FakeClock
) -> None:
    await producer.send(USAGE, "org_1", values([usage(number) for number in range(20)]), [("traceparent", b"00-1")])
    fixed, handled = False, []

    async def handler(batch: Batch[Record]) -> None:
        for record in batch.records:
            if record.envelope.id == "evt_7" and not fixed:
                batch.park(record, InvalidRecord("not understood yet"))
            else:
                handled.append((record.envelope.id, dict(record.headers)["traceparent"]))

    async def is_parked() -> bool:
        return bool(await stored(database))

    consumer = build_app(kafka.topics.prefix + "g", (USAGE,), handler, kafka=kafka, producer=producer, clock=clock)
    async with running(consumer, build(database, kafka=kafka, producer=producer, clock=clock)):
        await eventually(is_parked)
        fixed = True
        [letter] = await stored(database)
        later = NOON + timedelta(hours=1)
        assert await replay.redrive(database, producer, [letter.id], by="key_1", now=later) == [letter.id]
        await eventually(lambda: len(handled) == 20)
    assert handled[-1] == ("evt_7", b"00-1")
    [after] = await stored(database)
    assert after == replace(letter, state="redriven", resolved_at=later, resolved_by="key_1", redrives=1)


async def test_a_redrive_without_a_broker_leaves_them_parked(
    engines: Engines, database: Database, kafka: KafkaOptions, producer: Producer
) -> None:
    await Store(database)(Batch([parked(ONE, UnreadableRecord("no"))]))
    [letter] = await stored(database)
    async with broker_down(engines):
        with pytest.raises(BrokerUnavailable):
            await replay.redrive(database, producer, [letter.id], by="key_1", now=NOON)
    assert (await stored(database))[0].state == "parked"


async def test_a_record_without_a_key_goes_back_to_its_partition(
    database: Database, kafka: KafkaOptions, producer: Producer
) -> None:
    await Store(database)(Batch([parked(ONE._replace(key=None), UnreadableRecord("no"))]))
    [letter] = await stored(database)
    await replay.redrive(database, producer, [letter.id], by="key_1", now=NOON)
    [record] = await whole_log(kafka, USAGE)
    assert (record.partition, record.key, record.value, record.headers) == (2, None, ONE.value, ONE.headers)


async def test_what_came_from_nowhere_is_not_redriven(database: Database, producer: Producer) -> None:
    await Store(database)(Batch([LogRecord(DEAD_LETTERS, 0, 0, None, b"?", (), 1_000)]))
    [letter] = await stored(database)
    with pytest.raises(Conflict, match="nowhere"):
        await replay.redrive(database, producer, [letter.id], by="key_1", now=NOON)


async def test_dropped_ones_stay_on_record_and_are_not_redriven(
    database: Database, kafka: KafkaOptions, producer: Producer
) -> None:
    await Store(database)(Batch([parked(ONE, UnreadableRecord("no"))]))
    [letter] = await stored(database)
    assert await replay.drop(database, [letter.id, UUID(int=0)], by="key_1", now=NOON) == [letter.id]
    assert await replay.drop(database, [letter.id], by="key_2", now=NOON) == []
    assert await replay.redrive(database, producer, [letter.id], by="key_1", now=NOON) == []
    assert [(found.state, found.resolved_by) for found in await stored(database)] == [("dropped", "key_1")]
    assert await stored(database, Filter(state="parked")) == []


async def test_records_are_sent_again_as_they_are(kafka: KafkaOptions, producer: Producer) -> None:
    for number in range(30):
        await producer.send(USAGE, f"org_{number % 4}", values([usage(number)]), [("traceparent", b"00-1")])
    before = await whole_log(kafka, USAGE)

    async def all_of_them():  # type: ignore[no-untyped-def]
        for record in before:
            yield record

    assert await replay.resend(producer, all_of_them()) == 30
    after = await whole_log(kafka, USAGE)
    assert len(after) == 60
    assert sorted((r.partition, r.key, r.value, r.headers) for r in after) == sorted(
        2 * [(r.partition, r.key, r.value, r.headers) for r in before]
    )


def test_an_explanation_says_what_is_wrong_where_and_is_not_endless() -> None:
    error = InvalidRecord("No.", problems=tuple(Problem(f"/{n}", "x", "y" * 200) for n in range(20)))
    assert explained(error).startswith("No. /0: yyy")
    assert len(explained(error)) == 2000


@given(pattern=st.lists(st.sampled_from("gbc"), max_size=60), size=st.integers(1, 10))
def test_a_streak_is_the_same_however_the_records_are_batched(pattern: list[str], size: int) -> None:
    limit, longest, run = 8, 0, 0
    for kind in pattern:
        run = run + 1 if kind == "b" else 0 if kind == "g" else run
        longest = max(longest, run)
    records = [ONE._replace(offset=number) for number in range(len(pattern))]
    errors = {"b": UnreadableRecord("no"), "c": IdentityConflict("again")}
    streak, stopped = Streak(limit), False
    for start in range(0, len(records), size):
        batch = records[start : start + size]
        bad = [Parked(record, errors[pattern[record.offset]]) for record in batch if pattern[record.offset] in errors]
        try:
            streak.note(batch, bad)
        except TooManyDeadLetters:
            stopped = True
            break
    assert stopped == (longest >= limit)
