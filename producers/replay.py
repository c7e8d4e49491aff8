"""Back into the log: dead letters after a fix, records for a consumer that missed them."""

import asyncio
from collections.abc import AsyncIterable, Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from contracts import topics
from contracts.errors import Conflict
from infra.kafka.log import LogRecord
from infra.kafka.producer import Producer
from infra.postgres import trails
from infra.postgres.database import Database
from infra.postgres.trails import DeadLetter

CHUNK: Final = 500


async def redrive(
    database: Database, producer: Producer, ids: Collection[UUID], *, by: str, now: datetime
) -> list[UUID]:
    """Publishes the original records into their topics again, then marks them; the ids of those that went.

    Published first: a crash in between publishes a record twice (its identity makes that one effect), never not at
    all. Whoever is re-driven again because it failed again has a dead letter of its own for that. Dropped ones are
    left alone. Raises: Conflict when a letter's topic is not one of the hub's; BrokerUnavailable, DatabaseUnavailable.
    """
    async with database.transaction() as tx:
        letters = [letter for letter in await trails.dead_letters_of(tx, ids) if letter.state != "dropped"]
    for letter in letters:
        if letter.topic not in topics.BY_NAME or letter.topic == topics.DEAD_LETTERS.name:
            raise Conflict(
                f"The dead letter {letter.id} came from {letter.topic!r}: there is nowhere to re-drive it to"
            )
    went: list[UUID] = []
    for start in range(0, len(letters), CHUNK):
        went += await _redrive_chunk(database, producer, letters[start : start + CHUNK], by=by, now=now)
    return went


async def drop(database: Database, ids: Collection[UUID], *, by: str, now: datetime) -> list[UUID]:
    """Gives them up, which is kept on record; the ids of those that were still parked."""
    async with database.transaction() as tx:
        return await trails.mark_dropped(tx, ids, by=by, now=now)


async def resend(producer: Producer, records: AsyncIterable[LogRecord]) -> int:
    """Publishes records that stand in the log once more, as they are, in order; how many.

    For a consumer that missed them: everywhere else their identities make it no effect.
    """
    sent, chunk = 0, []
    async for record in records:
        chunk.append(record)
        if len(chunk) == CHUNK:
            sent += await _send_all(producer, chunk)
            chunk = []
    return sent + await _send_all(producer, chunk)


async def _redrive_chunk(
    database: Database, producer: Producer, letters: Sequence[DeadLetter], *, by: str, now: datetime
) -> list[UUID]:
    await asyncio.gather(
        *(
            producer.send(
                topics.BY_NAME[letter.topic],
                letter.key,
                [letter.value],
                letter.headers,
                partition=letter.partition if letter.key is None else None,
            )
            for letter in letters
        )
    )
    async with database.transaction() as tx:
        return await trails.mark_redriven(tx, [letter.id for letter in letters], by=by, now=now)


async def _send_all(producer: Producer, records: Sequence[LogRecord]) -> int:
    await asyncio.gather(
        *(
            producer.send(
                record.topic,
                record.key,
                [record.value],
                record.headers,
                partition=record.partition if record.key is None else None,
            )
            for record in records
        )
    )
    return len(records)
