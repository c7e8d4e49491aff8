"""Events of a transaction reach Kafka if and only if it commits, whatever dies in between."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from contracts import catalog
from contracts.errors import DatabaseUnavailable
from contracts.topics import LEDGER, USAGE
from infra.embedded.engines import Engines
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.postgres import outbox as rows
from infra.postgres.database import Database
from infra.telemetry.progress import PROGRESS
from producers import outbox
from tests.support.eventually import eventually
from tests.support.kafka import broker_down, usage, values, whole_log


@asynccontextmanager
async def relaying(database: Database, producer: Producer, count: int = 1) -> AsyncIterator[None]:
    stop = asyncio.Event()
    tasks = [asyncio.create_task(outbox.relay(database, producer, stop=stop, poll_s=0.2)) for _ in range(count)]
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(15):
            await asyncio.gather(*tasks)


async def waiting(database: Database) -> int:
    async with database.transaction() as tx:
        return (await rows.pending(tx))[0]


def empty(database: Database) -> Callable[[], object]:
    async def is_empty() -> bool:
        with contextlib.suppress(DatabaseUnavailable):
            return await waiting(database) == 0
        return False

    return is_empty


async def shipped(kafka: KafkaOptions) -> list[str]:
    return [catalog.decode(record.value or b"")[0].id for record in await whole_log(kafka, USAGE)]


async def save(database: Database, numbers: range, organization: str = "org_1") -> None:
    async with database.transaction() as tx:
        await outbox.save(tx, USAGE, organization, values([usage(number, organization) for number in numbers]))


async def test_saved_events_arrive_after_the_commit_in_order_and_are_forgotten(
    database: Database, producer: Producer, kafka: KafkaOptions
) -> None:
    async with relaying(database, producer):
        for start in range(0, 100, 10):
            await save(database, range(start, start + 10))
        await eventually(empty(database))
    assert await shipped(kafka) == [f"evt_{number}" for number in range(100)]
    [first, *_] = await whole_log(kafka, USAGE)
    assert first.key == b"org_1"
    assert dict(first.headers)["content-type"] == b"application/cloudevents+json"


async def test_what_is_rolled_back_never_arrives(database: Database, producer: Producer, kafka: KafkaOptions) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as tx:
            await outbox.save(tx, USAGE, "org_1", values([usage(1)]))
            raise ZeroDivisionError
    async with relaying(database, producer):
        await save(database, range(2, 3))
        await eventually(empty(database))
    assert await shipped(kafka) == ["evt_2"]


async def test_a_new_row_wakes_the_relay_long_before_it_would_look(
    database: Database, producer: Producer, kafka: KafkaOptions
) -> None:
    stop = asyncio.Event()
    task = asyncio.create_task(outbox.relay(database, producer, stop=stop, poll_s=60.0))
    await save(database, range(1))
    await eventually(empty(database))
    await save(database, range(1, 2))
    await eventually(empty(database), within_s=5)
    stop.set()
    await task


async def test_many_organizations_are_saved_by_one_statement(
    database: Database, producer: Producer, kafka: KafkaOptions
) -> None:
    stated = [(f"org_{number}", values([usage(number, f"org_{number}")])) for number in range(1200)]
    async with database.transaction() as tx:
        await outbox.save_many(tx, USAGE, stated)
        await outbox.save_many(tx, USAGE, [])
        await outbox.save(tx, USAGE, "org_1", [])
    async with relaying(database, producer):
        await eventually(empty(database))
    assert sorted(await shipped(kafka)) == sorted(f"evt_{number}" for number in range(1200))
    assert {record.key for record in await whole_log(kafka, USAGE)} == {
        organization.encode() for organization, _ in stated
    }


async def test_a_round_is_bounded_in_bytes(database: Database) -> None:
    for number in range(4):
        async with database.transaction() as tx:
            await outbox.save(tx, LEDGER, f"org_{number}", [b"x" * 1000])
    async with database.transaction() as tx:
        assert len(await rows.oldest(tx, rows=10, size_bytes=2_500)) == 3
        assert len(await rows.oldest(tx, rows=2, size_bytes=2_500)) == 2
        assert len(await rows.oldest(tx, rows=10, size_bytes=1)) == 1


async def test_of_two_relays_one_ships_and_the_other_takes_over_when_it_ends(
    database: Database, producer: Producer, kafka: KafkaOptions
) -> None:
    async with relaying(database, producer):
        async with relaying(database, producer, 2):
            for number in range(30):
                await save(database, range(number, number + 1))
            await eventually(empty(database))
            assert await shipped(kafka) == [f"evt_{number}" for number in range(30)]
        await save(database, range(30, 31))
        await eventually(empty(database))
    assert (await shipped(kafka))[-1] == "evt_30"


async def test_killed_between_the_ack_and_the_removal_it_ships_again_under_the_same_ids(
    database: Database, producer: Producer, kafka: KafkaOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await save(database, range(50))
    acknowledged = asyncio.Event()

    async def never(*_: object) -> None:
        acknowledged.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(rows, "remove", never)
        task = asyncio.create_task(outbox.relay(database, producer, stop=asyncio.Event()))
        await acknowledged.wait()
        task.cancel()
        await asyncio.wait({task})
    assert await waiting(database) == 1
    async with relaying(database, producer):
        await eventually(empty(database))
    once = [f"evt_{number}" for number in range(50)]
    assert await shipped(kafka) == once + once


async def test_it_waits_while_the_broker_is_away_and_loses_nothing(
    engines: Engines, database: Database, producer: Producer, kafka: KafkaOptions
) -> None:
    async with relaying(database, producer):
        async with broker_down(engines):
            await save(database, range(20))
            await eventually(lambda: PROGRESS[outbox.NAME].waiting_for is not None, within_s=15)
            assert await waiting(database) == 1
        await eventually(empty(database), within_s=30)
    assert set(await shipped(kafka)) == {f"evt_{number}" for number in range(20)}


async def test_it_survives_the_end_of_its_database_sessions(
    database: Database, producer: Producer, kafka: KafkaOptions
) -> None:
    async with relaying(database, producer):
        await save(database, range(5))
        await eventually(empty(database))
        async with database.transaction() as tx:
            await tx.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )

        async def saved() -> bool:
            try:
                await save(database, range(5, 10))
            except DatabaseUnavailable:
                return False
            return True

        await eventually(saved)
        await eventually(empty(database), within_s=20)
    assert set(await shipped(kafka)) == {f"evt_{number}" for number in range(10)}


async def test_concurrent_transactions_all_arrive(database: Database, producer: Producer, kafka: KafkaOptions) -> None:
    async with relaying(database, producer):
        await asyncio.gather(
            *(save(database, range(number * 5, number * 5 + 5), f"org_{number % 8}") for number in range(40))
        )
        await eventually(empty(database))
    assert sorted(await shipped(kafka)) == sorted(f"evt_{number}" for number in range(200))
