"""The API behind a real socket, on real engines."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest
import uvicorn

from api.app import create_app
from api.core.persons import make_person_key
from api.core.tokens import Tokens
from api.deps import ApiOptions, Deps
from contracts import catalog, topics
from contracts.envelope import Envelope
from contracts.topics import Topic, TopicNames
from infra.app.server import PatientOnlySoLong
from infra.clickhouse.client import ClickHouse
from infra.clickhouse.migrate import migrate
from infra.crypto import KEY_PREFIX, Sealer, hash_api_key, new_api_key
from infra.embedded.engines import Engines
from infra.ids import new_id
from infra.kafka.admin import ensure_topics
from infra.kafka.log import LogReader
from infra.kafka.options import KafkaOptions
from infra.kafka.producer import Producer
from infra.passwords import HashOptions
from infra.postgres import keys, members, sessions, users
from infra.postgres.database import Database
from infra.telemetry.progress import PROGRESS
from producers.publisher import Publisher
from tests.conftest import dsn_of, unique
from tests.support.clock import FakeClock
from tests.support.eventually import eventually

PEPPER = b"p" * 32
USAGE = {"service": "chat", "model": "gpt-4o", "input_tokens": 374, "output_tokens": 44}


def event(**changes: Any) -> dict[str, Any]:
    """A usage event as CloudEvents JSON; None takes an attribute out."""
    plain = {
        "specversion": "1.0",
        "id": new_id("evt"),
        "source": "urn:test",
        "type": "usage.recorded.v1",
        "data": USAGE,
    }
    return {name: value for name, value in (plain | changes).items() if value is not None}


@asynccontextmanager
async def serving(deps: Deps, port: int = 0) -> AsyncIterator[str]:
    """The URL of a server of this application; 0: on whichever port is free."""
    app = create_app(deps)
    config = uvicorn.Config(
        app, port=port, log_level="error", access_log=False, lifespan="off", ws="none", http=PatientOnlySoLong
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started or task.done())
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task
        await app.state.background.close()


@dataclass
class Person:
    """Somebody who is logged in."""

    id: str
    email: str
    session_id: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """What their requests carry."""
        return {"authorization": f"Bearer {self.token}"}


@dataclass
class Api:
    """A client with one organization's key, and what stands behind it."""

    url: str
    client: httpx.AsyncClient
    deps: Deps
    clock: FakeClock
    organization: str
    key: str

    async def post(self, path: str, **options: Any) -> httpx.Response:
        return await self.client.post(path, **options)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.client.get(path, **options)

    async def send(self, body: Any, content_type: str | None = None, **options: Any) -> httpx.Response:
        """Posts JSON to /v1/events as structured CloudEvents, or as a batch when it is a list."""
        if content_type is None:
            content_type = "application/cloudevents" + ("-batch+json" if isinstance(body, list) else "+json")
        headers = {"content-type": content_type} | options.pop("headers", {})
        if isinstance(body, bytes):
            return await self.client.post("/v1/events", content=body, headers=headers, **options)
        return await self.client.post("/v1/events", json=body, headers=headers, **options)

    async def make_key(
        self, scopes: list[str], organization: str | None = None, *, prefix: str = KEY_PREFIX, **changes: Any
    ) -> str:
        """A new key of the organization with these scopes."""
        secret = new_api_key(prefix)
        now = self.clock.now()
        row = keys.KeyRow(new_id("key"), organization or self.organization, "test", "hint", scopes, now, None, None)
        async with self.deps.database.transaction() as tx:
            assert await keys.save_key(tx, row._replace(**changes), hash_api_key(secret, PEPPER))
        return secret

    async def make_organization(self) -> str:
        """The id of a new organization."""
        row = keys.OrganizationRow(new_id("org"), "Test", self.clock.now())
        async with self.deps.database.transaction() as tx:
            assert await keys.save_organization(tx, row)
        return row.id

    async def make_user(
        self, *roles: str, organization: str | None = None, owner: bool = False, **changes: Any
    ) -> Person:
        """A person who is a member of the organization with these roles, logged in; `changes` are the session's."""
        now, user_id = self.clock.now(), new_id("user")
        where = organization or self.organization
        async with self.deps.database.transaction() as tx:
            email = f"{user_id}@example.com"
            assert await users.save_user(
                tx, users.UserRow(user_id, email, now, None, "en", None, None, "active", now, now, 1)
            )
            await make_person_key(tx, self.deps.sealer, user_id)
            await members.save_member(tx, where, user_id, owner=owner, now=now)
            for role in roles:
                await members.assign(tx, where, user_id, role, by="test", now=now)
            session = sessions.SessionRow(
                new_id("ses"), user_id, where, "tokens", None, ["pwd"], "", "", now, now, now, None,
                now + timedelta(days=7),
            )._replace(**changes)  # fmt: skip
            await sessions.save_session(tx, session)
        token = await self.tokens.issue(user_id, session.id, where, session.expires_at)
        return Person(user_id, email, session.id, token)

    @property
    def tokens(self) -> Tokens:
        """Issues tokens that this API takes."""
        options = self.deps.options
        return Tokens(self.deps.database, self.clock, self.deps.sealer, options.public_url)

    async def published(self, topic: Topic = topics.USAGE, organization: str | None = None) -> list[Envelope]:
        """Every event of the organization in the topic, decoded as a consumer does it."""
        wanted = organization or self.organization
        reader = self.deps.log_reader
        found = []
        for partition in range(await reader.partitions(topic)):
            async for record in reader.scan(topic, partition):
                envelope, _ = catalog.decode(record.value or b"")
                assert record.key == envelope.organization.encode()
                if envelope.organization == wanted:
                    found.append(envelope)
        return found

    def bearer(self, key: str) -> dict[str, str]:
        """Headers with another key."""
        return {"authorization": f"Bearer {key}"}


@asynccontextmanager
async def stack(
    kafka: KafkaOptions, database: Database, clickhouse: ClickHouse, clock: FakeClock
) -> AsyncIterator[Deps]:
    """Everything that the API stands on, opened on these engines."""
    producer, reader = Producer(kafka), LogReader(kafka, cache_s=0)
    await producer.start()
    try:
        yield Deps(
            database=database,
            producer=producer,
            publisher=Publisher(producer),
            log_reader=reader,
            clickhouse=clickhouse,
            clock=clock,
            key_pepper=PEPPER,
            cursor_secret=b"c" * 32,
            sealer=Sealer(PEPPER),
            options=ApiOptions(
                body_deadline_s=1.0,
                limits=None,
                trusted_proxies=("127.0.0.0/8",),  # a test gives its clients addresses of their own
                password_hash=HashOptions(memory_kib=64, rounds=1),
            ),
        )
    finally:
        await reader.close()
        await producer.stop()


@asynccontextmanager
async def client_of(url: str, deps: Deps, clock: FakeClock, scopes: Sequence[str] = ("*",)) -> AsyncIterator[Api]:
    """A client with the key of a new organization."""
    async with httpx.AsyncClient(base_url=url, timeout=20) as client:
        api = Api(url, client, deps, clock, "", "")
        api.organization = await api.make_organization()
        api.key = await api.make_key(list(scopes))
        client.headers["authorization"] = f"Bearer {api.key}"
        yield api


@dataclass
class World:
    """One served API for all tests that disturb neither its engines nor its clock."""

    url: str
    deps: Deps
    clock: FakeClock
    kafka: KafkaOptions


@pytest.fixture(scope="session")
async def world(engines: Engines, template: str) -> AsyncIterator[World]:
    """A server on topics and a database of this folder's own."""
    kafka = KafkaOptions(
        engines.kafka_bootstrap, topics=TopicNames(unique("api").replace("_", "-") + "."), partitions=3
    )
    await ensure_topics(kafka)
    name = unique("api")
    admin = await asyncpg.connect(engines.postgres_dsn)
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    await admin.close()
    database, clock = Database.open(dsn_of(engines, name)), FakeClock()
    clickhouse = ClickHouse.open_chdb(engines.clickhouse_path, name)
    await migrate(clickhouse)
    async with stack(kafka, database, clickhouse, clock) as deps, serving(deps) as url:
        yield World(url, deps, clock, kafka)
    await database.close()
    await clickhouse.drop_database()
    await clickhouse.close()


@pytest.fixture
async def api(world: World) -> AsyncIterator[Api]:
    """The shared API, and a client whose key may do everything within an organization of the test's own."""
    PROGRESS.clear()  # what other tests' consumers left in this process says nothing of this API's health
    async with client_of(world.url, world.deps, world.clock) as opened:
        yield opened


@pytest.fixture
async def deps(kafka: KafkaOptions, database: Database, clock: FakeClock) -> AsyncIterator[Deps]:
    """What an API of the test's own stands on; ClickHouse is away."""
    away = ClickHouse.open_http("http://127.0.0.1:9/none")
    async with stack(kafka, database, away, clock) as opened:
        yield opened
    await away.close()


@asynccontextmanager
async def an_api(deps: Deps, clock: FakeClock, scopes: Sequence[str] = ("*",)) -> AsyncIterator[Api]:
    """A served API and a client with a key of these scopes."""
    async with serving(deps) as url, client_of(url, deps, clock, scopes) as opened:
        yield opened


@pytest.fixture
async def own_api(deps: Deps, clock: FakeClock) -> AsyncIterator[Api]:
    """An API of the test's own: its clock may be moved, its engines disturbed."""
    async with an_api(deps, clock) as opened:
        yield opened
