"""The world of a fault run: real engines, a ClickHouse front, installations of the hub with every role a process."""

import asyncio
import itertools
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncpg

from infra.app.roles import ROLES
from infra.embedded.engines import EmbeddedOptions, Engines, start_engines
from infra.embedded.ports import free_ports
from infra.http.hub_client import HubClient
from infra.postgres.tenancy import ROLE as TENANT
from infra.settings import Settings, load_settings
from tests.faults.disks import Disk
from tests.faults.processes import Child, Nursery, Patch, nursery
from tests.support.eventually import eventually

SECRET: Final = "only for faults: thirty-two characters or more"
ENGINES: Final = ("kafka", "postgres", "clickhouse")
PARTITIONS: Final = 4
BORN_S: Final = 30.0
CRASH_PAUSE_S: Final = 0.5
POSTGRES_AWAY: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""What asyncpg raises while the server is away, refuses, or is given up in the middle of a statement."""
_numbers = itertools.count(1)


@dataclass
class World:
    """Running engines and a nursery; `bootstrap` is another cluster's when a scenario has one.

    `disks` are those that can be filled, by engine (see `small_disks`); `has_network`: engines can be cut off.
    """

    engines: Engines
    nursery: Nursery
    home: Path
    clickhouse_port: int
    bootstrap: str = ""
    front: Child | None = None
    kafka_replication: int = 1
    disks: dict[str, Disk] = field(default_factory=dict)
    has_network: bool = False
    one_engine: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def start_clickhouse(self) -> None:
        """The ClickHouse front on its port, answering; the data of the one before is kept."""
        argv = ["clickhouse", "--path", str(self.home / "front"), "--port", str(self.clickhouse_port)]
        self.front = await self.nursery.start("clickhouse", argv, {})
        await eventually(self._front_answers, within_s=BORN_S)

    async def _front_answers(self) -> bool:
        if self.front is not None and not self.front.alive:
            raise RuntimeError(f"the ClickHouse front ended with {self.front.code}; see {self.front.log}")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.clickhouse_port)
        except OSError:
            return False
        writer.close()
        return True

    async def database(self, name: str) -> str:
        """The DSN of a new, empty database, whose owner is no superuser and creates no roles: limits hold for it."""
        admin = await asyncpg.connect(self.engines.postgres_dsn)
        await admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'")
        if not await admin.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = $1", TENANT):
            await admin.execute(f"CREATE ROLE {TENANT} NOLOGIN NOINHERIT")
        await admin.execute(f"GRANT {TENANT} TO {name}")
        await admin.execute(f"CREATE DATABASE {name} OWNER {name}")
        await admin.close()
        return f"postgresql://{name}:{name}@127.0.0.1:{self.engines.postgres.port}/{name}"


@asynccontextmanager
async def start_world(home: Path) -> AsyncIterator[World]:
    """Kafka, PostgreSQL, the ClickHouse front and a nursery; all gone at the end, however it comes."""
    options = EmbeddedOptions(home=home, clickhouse=False)
    async with start_engines(options) as engines, nursery(home / "roles") as children:
        world = World(engines, children, home, free_ports(1)[0], engines.kafka_bootstrap)
        await world.start_clickhouse()
        yield world


@dataclass
class Installation:
    """One hub in the world: its own topics, database and tables; roles by name, started again when they end.

    `skews`: by role, how many seconds its machine's clock is ahead.
    `crashes` are ends that nobody asked for and no point explains: a defect of the product.
    """

    world: World
    name: str
    env: dict[str, str]
    keys: dict[str, str]
    url: str
    dsn: str
    session_ms: int | None = None
    mutants: dict[str, str] = field(default_factory=dict)
    skews: dict[str, float] = field(default_factory=dict)
    roles: dict[str, Child] = field(default_factory=dict)
    deaths: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)
    expected: set[Child] = field(default_factory=set)
    armed: dict[str, tuple[str, int]] = field(default_factory=dict)
    minds_expected: bool = True

    @property
    def settings(self) -> Settings:
        """What a command in this process needs to reach the hub's engines."""
        names = {key.removeprefix("AIHUB_").lower(): value for key, value in self.env.items()}
        names["webhook_allow"] = json.loads(names["webhook_allow"])
        return load_settings(**names)

    def patches(self, role: str, point: str | None, nth: int, how: signal.Signals) -> list[Patch]:
        """What is done to a process of the role before it runs."""
        found: list[Patch] = []
        if self.session_ms is not None:
            found.append({"kind": "session", "ms": self.session_ms})
        if role in self.skews:
            found.append({"kind": "skew", "seconds": self.skews[role]})
        if role in self.mutants:
            found.append({"kind": "mutant", "name": self.mutants[role]})
        if point is not None:
            found.append({"kind": "point", "name": point, "nth": nth, "signal": int(how)})
        return found

    async def spawn(
        self,
        role: str,
        *,
        point: str | None = None,
        nth: int = 1,
        how: signal.Signals = signal.SIGKILL,
        instance: str | None = None,
    ) -> Child:
        """One more process of the role, on its own: whoever starts it looks after it."""
        env = self.env | {"AIHUB_INSTANCE": instance or f"{role}-1"}
        return await self.world.nursery.start(
            f"{self.name}-{role}", ["run", role], env, self.patches(role, point, nth, how)
        )

    async def start(
        self, role: str, *, point: str | None = None, nth: int = 1, how: signal.Signals = signal.SIGKILL
    ) -> Child:
        """The role's process, from now on kept running: one that ends by itself is started again, and told of."""
        child = self.roles[role] = await self.spawn(role, point=point, nth=nth, how=how)
        if point is not None and how == signal.SIGKILL:
            self.expected.add(child)
        return child

    async def start_all(self, roles: Sequence[str] = tuple(ROLES)) -> None:
        """These roles (the `armed` ones with their points), and the API answering."""
        for role in roles:
            point, nth = self.armed.get(role, (None, 1))
            await self.start(role, point=point, nth=nth)
        if "api" in roles:
            async with HubClient(self.url, self.keys["admin"]) as client:
                await client.get("/v1/webhooks/endpoints")

    def log(self, role: str) -> Path:
        """What the role's processes say, one after another."""
        return self.world.nursery.logs / f"{self.name}-{role}.err"

    async def kill(self, role: str, *, point: str | None = None, nth: int = 1) -> Child:
        """kill -9 and a new process at once."""
        child = self.roles.pop(role)
        await child.kill()
        return await self.start(role, point=point, nth=nth)

    async def mind(self) -> None:
        """Starts again what ended (`minds_expected`: also at a point); runs until cancelled."""
        while True:
            for role, child in list(self.roles.items()):
                if not child.alive and self.roles.get(role) is child:
                    if child in self.expected and not self.minds_expected:
                        continue
                    if child not in self.expected:
                        self.crashes.append(f"{role} ended by itself with code {child.code}; see {child.log}")
                        await asyncio.sleep(CRASH_PAUSE_S)
                    self.deaths[role] += 1
                    if self.roles.get(role) is child:
                        await self.start(role)
            await asyncio.sleep(0.02)

    async def stop(self) -> list[str]:
        """SIGTERM to all; what did not drain within 15 s or not exit with 0."""
        roles, self.roles = self.roles, {}
        for child in roles.values():
            child.signal(signal.SIGCONT)
        codes = await asyncio.gather(*(child.terminate() for child in roles.values()))
        return [f"{role} ended with {code} after SIGTERM" for role, code in zip(roles, codes, strict=True) if code != 0]


async def install(
    world: World, *, session_ms: int | None = None, mutants: dict[str, str] | None = None, **more: str
) -> Installation:
    """A fresh hub, migrated and seeded by its own commands, no role running yet."""
    name = f"hub{os.getpid()}x{next(_numbers)}"
    dsn = await world.database(name)
    (port,) = free_ports(1)
    env = {
        "AIHUB_KAFKA_BOOTSTRAP": world.bootstrap,
        "AIHUB_KAFKA_REPLICATION": str(world.kafka_replication),
        "AIHUB_KAFKA_TOPIC_PREFIX": f"{name}.",
        "AIHUB_KAFKA_PARTITIONS": str(PARTITIONS),
        "AIHUB_POSTGRES_DSN": dsn,
        "AIHUB_CLICKHOUSE_URL": f"http://127.0.0.1:{world.clickhouse_port}",
        "AIHUB_CLICKHOUSE_DATABASE": name,
        "AIHUB_SECRET": SECRET,
        "AIHUB_WEBHOOK_ALLOW": '["127.0.0.0/8"]',
        "AIHUB_PORT": str(port),
        "AIHUB_RECONCILE_EVERY_S": "5",
        "AIHUB_RATE_LIMITING": "false",
        **more,
    }
    hub = Installation(world, name, env, {}, f"http://127.0.0.1:{port}", dsn, session_ms, mutants or {})
    await _command(hub, "migrate")
    hub.keys |= json.loads(await _command(hub, "seed"))
    return hub


async def _command(hub: Installation, name: str) -> str:
    child = await hub.world.nursery.start(
        f"{hub.name}-{name}", [name], hub.env, hub.patches(name, None, 1, signal.SIGKILL)
    )
    code = await asyncio.wait_for(child.ended, 120)
    if code != 0:
        raise RuntimeError(f"aihub {name} ended with {code}: {child.log.with_suffix('.err').read_text()[-2000:]}")
    return child.log.read_text()
