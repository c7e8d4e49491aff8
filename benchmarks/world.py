"""The engines of one run, in a temporary directory, and fresh topics, databases and organizations in them."""

import asyncio
import itertools
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from benchmarks.processes import running
from contracts.topics import Topic, TopicNames
from infra.clock import SystemClock
from infra.crypto import hash_api_key, new_api_key
from infra.embedded.engines import EmbeddedOptions, Engines, start_engines
from infra.ids import new_id
from infra.kafka.admin import ensure_topics
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.ops.seed_prices import seed_prices
from infra.postgres.database import Database
from infra.postgres.keys import KeyRow, OrganizationRow, save_key, save_organization
from infra.postgres.migrate import migrate

SECRET: Final = "benchmarks-benchmarks-benchmarks-benchmarks"
READY_S: Final = 60.0
CHUNK: Final = 500
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class World:
    """The running engines."""

    engines: Engines
    home: Path

    async def kafka(self, partitions: int = 6) -> KafkaOptions:
        """The broker, with fresh topics."""
        prefix = f"b{os.getpid()}-{next(_numbers)}."
        options = KafkaOptions(self.engines.kafka_bootstrap, topics=TopicNames(prefix), partitions=partitions)
        await ensure_topics(options)
        return options

    async def database(self, template: str | None = None) -> str:
        """The DSN of a fresh database: migrated and with prices, or a copy of another that nobody uses now."""
        name = f"b{os.getpid()}_{next(_numbers)}"
        source = f" TEMPLATE {template.rsplit('/', 1)[1]} STRATEGY FILE_COPY" if template else ""
        admin = await asyncpg.connect(self.engines.postgres_dsn)
        await admin.execute(f"CREATE DATABASE {name}{source}")
        await admin.close()
        dsn = self.engines.postgres_dsn.rsplit("/", 1)[0] + "/" + name
        if template is None:
            database = Database.open(dsn)
            await migrate(database)
            await seed_prices(database, SystemClock())
            await database.close()
        return dsn


@asynccontextmanager
async def start_world() -> AsyncIterator[World]:
    """Kafka, PostgreSQL and chDB until the block ends; nothing is left behind."""
    home = Path(tempfile.mkdtemp(prefix="aihub-bench-"))
    try:
        async with start_engines(EmbeddedOptions(home=home)) as engines:
            yield World(engines, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


async def add_organization(dsn: str, organization: str) -> str:
    """An organization and a key of it that may send events."""
    database, now, secret = Database.open(dsn), SystemClock().now(), new_api_key()
    async with database.transaction() as tx:
        await save_organization(tx, OrganizationRow(organization, organization, now))
        row = KeyRow(new_id("key"), organization, "benchmark", secret[-4:], ["events:*"], now, None, None)
        await save_key(tx, row, hash_api_key(secret, SECRET.encode()))
    await database.close()
    return secret


async def produce(producer: Producer, topic: Topic, records: Mapping[str, Sequence[bytes]]) -> int:
    """Writes records by organization to the topic; how many."""
    await asyncio.gather(*(_produce(producer, topic, key, values) for key, values in records.items()))
    return sum(len(values) for values in records.values())


async def _produce(producer: Producer, topic: Topic, key: str, values: Sequence[bytes]) -> None:
    for start in range(0, len(values), CHUNK):
        await producer.send(topic, key, values[start : start + CHUNK])


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@asynccontextmanager
async def api_process(
    world: World, kafka: KafkaOptions, dsn: str, settings: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[int, int]]:
    """(process id, port) of `aihub run api`, a process of its own that answers; `settings` are further variables."""
    port = free_port()
    environment = {
        "AIHUB_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "AIHUB_KAFKA_TOPIC_PREFIX": kafka.topics.prefix,
        "AIHUB_POSTGRES_DSN": dsn,
        "AIHUB_CLICKHOUSE_URL": "http://127.0.0.1:9",  # the ingress asks ClickHouse nothing
        "AIHUB_SECRET": SECRET,
        "AIHUB_LOG_LEVEL": "WARNING",
        **(settings or {}),
    }
    command = [sys.executable, "-m", "infra.app.cli", "run", "api", "--port", str(port)]
    async with running(command, environment, log=world.home / "api.log") as process:
        await until_listening(port)
        yield process.pid, port


async def until_listening(port: int) -> None:
    """Returns when somebody takes connections on the port. Raises: TimeoutError."""
    async with asyncio.timeout(READY_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
