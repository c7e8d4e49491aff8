"""All three engines as one thing: `async with start_engines(options) as engines:`."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from infra.embedded.clickhouse import ClickHouseEngine
from infra.embedded.errors import EmbeddedError
from infra.embedded.home import Home, open_home
from infra.embedded.jars import Fetch, fetch_with_jgo, kafka_jars
from infra.embedded.kafka import KafkaNode, cluster_id
from infra.embedded.kafka_config import NodeConfig, Voter
from infra.embedded.ports import choose_port, free_ports, is_free
from infra.embedded.postgres import PostgresServer
from infra.embedded.server import Server

KAFKA_PORT, POSTGRES_PORT = 9092, 5432
NODE_ID = 1

OnStep = Callable[[str, bool], None]
"""Called with `jars`, `kafka`, `postgres` or `clickhouse`, and False when the step begins, True when it is done."""

T = TypeVar("T")


def _silent(_name: str, _done: bool) -> None:
    """Shows nothing."""


@dataclass(frozen=True)
class EmbeddedOptions:
    """What to start and where. A port of None means: the usual one when it is free, else any.

    `jar_cache` of None is the user's cache folder; `fetch_jar` is only called for jars that are not in it.
    """

    home: Path
    kafka_port: int | None = None
    postgres_port: int | None = None
    clickhouse: bool = True
    on_step: OnStep = _silent
    jar_cache: Path | None = None
    fetch_jar: Fetch = fetch_with_jgo


class Engines:
    """The running engines. `kafka` and `postgres` can be killed and started again, on the same port."""

    def __init__(
        self, home: Home, kafka: KafkaNode, postgres: PostgresServer, clickhouse: ClickHouseEngine | None
    ) -> None:
        self.home = home.root
        self.kafka = kafka
        self.postgres = postgres
        self.clickhouse = clickhouse
        self.clickhouse_path = home.clickhouse

    @property
    def kafka_bootstrap(self) -> str:
        """`host:port` of the broker."""
        return self.kafka.bootstrap

    @property
    def postgres_dsn(self) -> str:
        """`postgresql://…` with password, for this and other processes."""
        return self.postgres.dsn

    @property
    def versions(self) -> dict[str, str]:
        """What the engines themselves report."""
        found = {"kafka": self.kafka.version, "postgres": self.postgres.version}
        return found | ({"clickhouse": self.clickhouse.version} if self.clickhouse else {})

    async def died(self) -> str:
        """Wait until a server ends that nobody stopped, and say which one and how."""
        servers = {self.kafka.engine: self.kafka.wait, self.postgres.engine: self.postgres.wait}
        tasks = {asyncio.ensure_future(wait()): engine for engine, wait in servers.items()}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return "; ".join(f"{tasks[task]} ended with code {task.result()}" for task in done)
        finally:
            for task in tasks:
                task.cancel()

    async def stop(self) -> None:
        """Stop everything in bounded time: the in-process engine first, then both servers at once."""
        if self.clickhouse is not None:
            self.clickhouse.close()
        self.kafka.let_go()  # both know now, even when the waiting below is cancelled
        self.postgres.let_go()
        await asyncio.gather(self.postgres.stop(), self.kafka.stop())


@asynccontextmanager
async def start_engines(options: EmbeddedOptions) -> AsyncIterator[Engines]:
    """Start the engines on what the home directory holds; they stop when the block ends or this process dies.

    Raises: EmbeddedError, one line, when one of them cannot be started; the others are stopped then.
    """
    with open_home(options.home) as home:
        kafka_port = choose_port("Kafka", options.kafka_port, KAFKA_PORT)
        postgres_port = choose_port("PostgreSQL", options.postgres_port, POSTGRES_PORT)
        postgres = PostgresServer(home.postgres, postgres_port, home.logs / "postgres.log")
        kafka = KafkaNode(_node(home, kafka_port), (), cluster_id(home.kafka / "cluster.id"))
        clickhouse = ClickHouseEngine(home.clickhouse) if options.clickhouse else None
        engines = Engines(home, kafka, postgres, clickhouse)
        try:
            await _start(engines, options)
            yield engines
        finally:
            await engines.stop()


async def _start(engines: Engines, options: EmbeddedOptions) -> None:
    async def kafka() -> None:
        engines.kafka.jars = await _step("jars", _jars(options), options.on_step)
        await _step("kafka", start_somewhere(engines.kafka, options.kafka_port), options.on_step)

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(kafka())
            tasks.create_task(
                _step("postgres", start_somewhere(engines.postgres, options.postgres_port), options.on_step)
            )
            if engines.clickhouse is not None:
                opened = asyncio.to_thread(engines.clickhouse.open)
                tasks.create_task(_step("clickhouse", opened, options.on_step))
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


async def start_somewhere(server: Server, fixed_port: int | None) -> None:
    """Start, and once more on another port when somebody was faster on one that nobody asked for."""
    try:
        await server.start()
    except EmbeddedError:
        if fixed_port is not None or is_free(server.port):
            raise
        server.move(free_ports(1)[0])
        await server.start()


async def _step(name: str, work: Awaitable[T], on_step: OnStep) -> T:
    on_step(name, False)
    result = await work
    on_step(name, True)
    return result


async def _jars(options: EmbeddedOptions) -> list[Path]:
    cancelled = threading.Event()
    try:
        return await asyncio.to_thread(
            kafka_jars, cache=options.jar_cache, fetch=options.fetch_jar, cancelled=cancelled
        )
    finally:
        cancelled.set()


def _node(home: Home, broker_port: int) -> NodeConfig:
    (controller_port,) = free_ports(1)
    return NodeConfig(
        node_id=NODE_ID,
        broker_port=broker_port,
        voters=(Voter(NODE_ID, controller_port),),
        directory=home.kafka / f"node-{NODE_ID}",
        log=home.logs / "kafka.log",
    )
