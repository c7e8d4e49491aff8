"""What the API stands on; infra.app fills it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts.rules.limits import Limits
from infra.clickhouse.client import ClickHouse
from infra.clock import Clock
from infra.crypto import Sealer
from infra.http.providers import Provider
from infra.kafka.log import LogReader
from infra.kafka.producer import Producer
from infra.passwords import HashOptions
from infra.postgres.database import Database
from producers.publisher import Publisher


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """Bounds of the HTTP side; the defaults are the documented ones."""

    version: str = "0.1.0"
    body_limit_bytes: int = 5_000_000
    body_deadline_s: float = 15.0
    batch_limit: int = 1_000
    database_deadline_s: float = 1.0
    public_url: str = "http://localhost:8080"
    """Where people and programs reach this hub: the issuer of its tokens, the start of its links."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose X-Forwarded-For is believed."""
    requests_in_flight: int = 128
    """Of the two posts of events, and as many of all other requests: what is beyond is refused (503, Retry-After)."""
    bytes_in_flight: int = 16_000_000
    """Bodies of those requests, plain. What is made of a body takes up to six times its room."""
    limits: Limits | None = field(default_factory=Limits)
    """How often somebody may ask; None: as often as they like."""
    oidc_providers: Mapping[str, Provider] = field(default_factory=dict)
    """Who people may log in with, by the name in our URLs."""
    password_hash: HashOptions = field(default_factory=HashOptions)
    """What one password hash costs; a stored one with other costs is made anew at the next log-in."""
    password_min: int = 12
    """Characters of a password beside a second factor."""
    password_min_alone: int = 15
    """Characters of a password that is the only factor."""
    welcome_micros: int = 10_000_000
    """Credits of a person whose address is proved for the first time; 0: none."""
    webhook_allow: tuple[str, ...] = ()
    """Networks and hosts that webhooks may reach although they are private; http too, if they are loopback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """Open connections and options. `key_pepper` hashes API keys; `cursor_secret` signs paging cursors,
    `sealer` seals secrets at rest."""

    database: Database
    producer: Producer
    publisher: Publisher
    log_reader: LogReader
    clickhouse: ClickHouse
    clock: Clock
    key_pepper: bytes
    cursor_secret: bytes
    sealer: Sealer
    options: ApiOptions = ApiOptions()
