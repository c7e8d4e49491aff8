"""Opens everything a role stands on, from settings alone."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from api.deps import ApiOptions, Deps
from contracts.errors import ConfigError
from contracts.topics import TopicNames
from contracts.types import MICROS_PER_CREDIT
from infra.clickhouse.client import ClickHouse
from infra.clock import Clock, SharedClock, SystemClock
from infra.kafka.log import LogReader
from infra.kafka.options import KafkaOptions, Security
from infra.kafka.producer import Producer
from infra.ops.reconcile import ReconcileDeps
from infra.postgres.database import Database
from infra.postgres.shared_time import kept_right
from infra.settings import Settings
from producers.publisher import Publisher


@dataclass(frozen=True, slots=True)
class Hub:
    """One process's connections; every role of the process shares them."""

    settings: Settings
    clock: Clock
    pepper: bytes
    kafka: KafkaOptions
    database: Database
    producer: Producer
    publisher: Publisher
    log_reader: LogReader
    clickhouse: ClickHouse

    def derived_secret(self, purpose: str) -> bytes:
        """32 bytes for one purpose: no key is used for two."""
        return hmac.new(self.pepper, purpose.encode(), hashlib.sha256).digest()

    def reconcile_deps(self) -> ReconcileDeps:
        """What reconcile reads and writes."""
        return ReconcileDeps(self.database, self.clickhouse, self.log_reader, self.producer, self.clock)

    def api_deps(self) -> Deps:
        """What the API stands on."""
        return Deps(
            database=self.database,
            producer=self.producer,
            publisher=self.publisher,
            log_reader=self.log_reader,
            clickhouse=self.clickhouse,
            clock=self.clock,
            key_pepper=self.pepper,
            cursor_secret=self.derived_secret("cursors"),
            sealer=self.settings.sealer,
            options=ApiOptions(
                webhook_allow=self.settings.webhook_allow,
                password_min=self.settings.password_min,
                password_min_alone=self.settings.password_min_alone,
                welcome_micros=self.settings.welcome_credits * MICROS_PER_CREDIT,
                public_url=self.settings.public_url or f"http://localhost:{self.settings.port or 8080}",
                oidc_providers=self.settings.oidc_providers,
                trusted_proxies=self.settings.trusted_proxies,
                limits=self.settings.limits,
            ),
        )


def kafka_options(settings: Settings) -> KafkaOptions:
    """Kafka's part of the settings. Raises: ConfigError."""
    if settings.kafka_bootstrap is None:
        raise ConfigError("AIHUB_KAFKA_BOOTSTRAP is not set: give host:port of the brokers")
    return KafkaOptions(
        bootstrap=settings.kafka_bootstrap,
        security=_security(settings),
        topics=TopicNames(settings.kafka_topic_prefix),
        partitions=settings.kafka_partitions,
        replication=settings.kafka_replication,
        instance=settings.instance,
    )


def _security(settings: Settings) -> Security | None:
    if settings.kafka_protocol == "PLAINTEXT":
        return None
    password = settings.kafka_password
    return Security(
        protocol=settings.kafka_protocol,
        cafile=_path(settings.kafka_ca_file),
        certfile=_path(settings.kafka_cert_file),
        keyfile=_path(settings.kafka_key_file),
        mechanism=settings.kafka_sasl_mechanism,
        username=settings.kafka_username,
        password=password.get_secret_value() if password else None,
    )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def postgres_dsn(settings: Settings) -> str:
    """The database's address. Raises: ConfigError."""
    if settings.postgres_dsn is None:
        raise ConfigError("AIHUB_POSTGRES_DSN is not set: give postgresql://user:password@host:port/name")
    return settings.postgres_dsn.get_secret_value()


def open_clickhouse(settings: Settings) -> ClickHouse:
    """ClickHouse over HTTP. Raises: ConfigError."""
    if settings.clickhouse_url is None:
        raise ConfigError("AIHUB_CLICKHOUSE_URL is not set: give http://user:password@host:port")
    return ClickHouse.open_http(settings.clickhouse_url.get_secret_value(), settings.clickhouse_database)


@asynccontextmanager
async def open_hub(settings: Settings, clickhouse: ClickHouse) -> AsyncIterator[Hub]:
    """Everything opened, closed again in order; engines that are down are waited for where they are used."""
    kafka = kafka_options(settings)
    clock = SharedClock(SystemClock())
    async with AsyncExitStack() as stack:
        database = Database.open(postgres_dsn(settings), pool_size=settings.postgres_pool)
        stack.push_async_callback(database.close)
        await stack.enter_async_context(kept_right(clock, database))
        stack.push_async_callback(clickhouse.close)
        log_reader = LogReader(kafka)
        stack.push_async_callback(log_reader.close)
        producer = Producer(kafka)
        await producer.start()
        stack.push_async_callback(producer.stop)
        yield Hub(
            settings=settings,
            clock=clock,
            pepper=settings.pepper,
            kafka=kafka,
            database=database,
            producer=producer,
            publisher=Publisher(producer),
            log_reader=log_reader,
            clickhouse=clickhouse,
        )
