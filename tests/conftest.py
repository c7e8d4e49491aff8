"""Real engines, started once a session; every test has its own topics, database and tables."""

import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from hypothesis import settings

from contracts.topics import TopicNames
from infra.embedded.engines import EmbeddedOptions, Engines, start_engines
from infra.kafka.admin import ensure_topics
from infra.kafka.options import KafkaOptions
from infra.postgres.database import Database
from infra.postgres.migrate import migrate
from tests.support.clock import FakeClock

settings.register_profile("hub", deadline=None)  # 200 ms an example say more of the machine than of the code
settings.load_profile("hub")

_TEMPLATE = "template_aihub"
_numbers = itertools.count(1)


def unique(prefix: str) -> str:
    """A name that no other test of this session, nor of a parallel one, has."""
    return f"{prefix}_{os.getpid()}_{next(_numbers)}"


@pytest.fixture(scope="session")
async def engines(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engines]:
    """Kafka, PostgreSQL and chDB of this session, on free ports."""
    async with start_engines(EmbeddedOptions(home=tmp_path_factory.mktemp("engines"))) as running:
        yield running


@pytest.fixture
async def kafka(engines: Engines) -> KafkaOptions:
    """The broker, with topics of the test's own."""
    options = KafkaOptions(
        bootstrap=engines.kafka_bootstrap, topics=TopicNames(unique("t").replace("_", "-") + "."), partitions=3
    )
    await ensure_topics(options)
    return options


def dsn_of(engines: Engines, name: str) -> str:
    """The DSN of another database of the same server."""
    return engines.postgres_dsn.rsplit("/", 1)[0] + "/" + name


@pytest.fixture(scope="session")
async def template(engines: Engines) -> str:
    """The name of a migrated database that others are copied from."""
    admin = await asyncpg.connect(engines.postgres_dsn)
    await admin.execute(f"CREATE DATABASE {_TEMPLATE}")
    await admin.close()
    database = Database.open(dsn_of(engines, _TEMPLATE))
    await migrate(database)
    await database.close()
    return _TEMPLATE


@pytest.fixture
async def database_dsn(engines: Engines, template: str) -> AsyncIterator[str]:
    """The DSN of a fresh, migrated database of the test's own."""
    name = unique("db")
    await _as_admin(engines, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    yield dsn_of(engines, name)
    await _as_admin(engines, f"DROP DATABASE {name} WITH (FORCE)")


async def _as_admin(engines: Engines, sql: str) -> None:
    """Runs a statement on a connection of its own: a test may have killed the server in between."""
    admin = await asyncpg.connect(engines.postgres_dsn)
    try:
        await admin.execute(sql)
    finally:
        await admin.close()


@pytest.fixture
async def database(database_dsn: str) -> AsyncIterator[Database]:
    """A fresh, migrated database of the test's own, with a pool of 10."""
    opened = Database.open(database_dsn, pool_size=10)
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> FakeClock:
    """Time that the test sets."""
    return FakeClock()


@pytest.fixture
def project() -> Path:
    """The root of the checkout."""
    return Path(__file__).parents[1]
