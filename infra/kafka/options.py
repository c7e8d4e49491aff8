"""How to reach Kafka: addresses, TLS, SASL, topic names."""

import ssl
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, Self

from aiokafka.partitioner import murmur2

from contracts.errors import ConfigError
from contracts.topics import Topic, TopicNames

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

CONNECT_TIMEOUT_MS: Final = 15_000


@dataclass(frozen=True, slots=True)
class Security:
    """TLS and SASL. `cafile` None trusts the system's authorities; `certfile` and `keyfile` are for mutual TLS."""

    protocol: Protocol = "SSL"
    cafile: Path | None = None
    certfile: Path | None = None
    keyfile: Path | None = None
    mechanism: Mechanism = "SCRAM-SHA-512"
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.protocol.startswith("SASL") and not (self.username and self.password):
            raise ConfigError(f"Kafka's {self.protocol} wants a user name and a password: set both")

    def client_arguments(self) -> dict[str, Any]:
        """What an aiokafka client must be given. Raises: ConfigError when a file is missing or not PEM."""
        arguments: dict[str, Any] = {"security_protocol": self.protocol}
        if self.protocol.endswith("SSL"):
            arguments["ssl_context"] = self._ssl_context()
        if self.protocol.startswith("SASL"):
            arguments |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return arguments

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.cafile)
            if self.certfile:
                context.load_cert_chain(self.certfile, self.keyfile)
        except OSError as error:
            raise ConfigError(f"Kafka's TLS files cannot be used: {error}; check their paths and contents") from error
        return context


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """One cluster, as this program uses it. `partitions` and `replication` are for topics that it creates itself.

    `instance` names this process only, and its successor after a restart: a part of what brokers know it by.
    """

    bootstrap: str
    security: Security | None = None
    client_id: str = "aihub"
    topics: TopicNames = field(default_factory=TopicNames)
    partitions: int = 6
    replication: int = 1
    instance: str | None = None

    @property
    def client_name(self) -> str:
        """The client id that brokers see and log."""
        return self.client_id if self.instance is None else f"{self.client_id}-{self.instance}"

    def member(self, number: int) -> Self:
        """For one of several members that this process has in a group: each has a name, and a predecessor, of its own.

        The first keeps the process's name. No host's name has a `+`: no other process is taken for a member.
        """
        return self if self.instance is None or number == 0 else replace(self, instance=f"{self.instance}+{number}")

    def client_arguments(self) -> dict[str, Any]:
        """What every aiokafka client is given."""
        secured = self.security.client_arguments() if self.security else {}
        return {
            "bootstrap_servers": [server.strip() for server in self.bootstrap.split(",")],
            "client_id": self.client_name,
            "request_timeout_ms": CONNECT_TIMEOUT_MS,
            **secured,
        }

    def group(self, name: str) -> str:
        """The consumer group's name on the broker: it carries the topics' prefix, as they do."""
        return self.topics.prefix + name

    def name(self, topic: Topic) -> str:
        """The topic's name on the broker."""
        return self.topics.of(topic)


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key: murmur2, as the Java client computes it (aiokafka's is pure Python: 10 us a key)."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
