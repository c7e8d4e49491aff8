"""Settings: from environment variables `AIHUB_*`, or files in `AIHUB_SECRETS_DIR`."""

import os
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.errors import ConfigError
from contracts.rules.limits import Limits
from infra.crypto import Sealer
from infra.http.providers import Provider, with_presets
from infra.mail.smtp import SmtpOptions

MIN_SECRET_LENGTH: Final = 32


class Settings(BaseSettings):
    """Everything that may differ between two installations. Embedded mode fills in what is not given."""

    model_config = SettingsConfigDict(
        env_prefix="AIHUB_", extra="ignore", frozen=True, secrets_dir=os.environ.get("AIHUB_SECRETS_DIR")
    )

    home: Path = Field(default=Path(".aihub"), description="Data directory of the embedded engines")
    host: str = Field(default="127.0.0.1", description="Address that the API and the probes listen on")
    port: int | None = Field(default=None, ge=1, le=65535, description="API port; default 8080, or a free one")
    probe_port: int | None = Field(default=None, ge=1, le=65535, description="Health and metrics port of a role")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    secret: SecretStr | None = Field(default=None, description="At least 32 characters; keys every hash and seal")

    secret_previous: SecretStr | None = Field(default=None, description="The secret before: still opens what it sealed")
    public_url: str | None = Field(default=None, description="https://... under which people reach this hub")
    trusted_proxies: tuple[str, ...] = Field(default=(), description="CIDRs whose X-Forwarded-For is believed")

    rate_limiting: bool = Field(default=True, description="false: nobody is limited (load tests only)")
    rate_limits: dict[str, dict[str, int | None]] = Field(
        default={}, description='JSON, requests a minute: {"default": {"user": 120}, "strict": {"guest": 3}}'
    )
    ingest_plans: dict[str, int | None] = Field(
        default={}, description='JSON, posts of events a minute by plan of the organization: {"free": 600}'
    )
    oidc_providers: Annotated[dict[str, Provider], BeforeValidator(with_presets)] = Field(
        default_factory=dict, description='Log-ins, as JSON: {"google": {"client_id": "...", "client_secret": "..."}}'
    )

    postgres_dsn: SecretStr | None = Field(default=None, description="postgresql://user:password@host:port/name")
    postgres_pool: int = Field(default=10, ge=2, le=200)

    kafka_bootstrap: str | None = Field(default=None, description="host:port, comma-separated")
    kafka_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_ca_file: str | None = None
    kafka_cert_file: str | None = None
    kafka_key_file: str | None = None
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    kafka_topic_prefix: str = ""
    kafka_partitions: int = Field(default=6, ge=1, le=1000)
    kafka_replication: int = Field(default=1, ge=1, le=5)
    kafka_port: int | None = Field(default=None, ge=1, le=65535, description="Fixed port of the embedded broker")

    clickhouse_url: SecretStr | None = Field(default=None, description="http://user:password@host:port")
    clickhouse_database: str = "aihub"
    postgres_port: int | None = Field(default=None, ge=1, le=65535, description="Fixed port of the embedded server")

    smtp_host: str | None = Field(default=None, description="Mail server; without one mail stays in the outbox")
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    smtp_ca_file: str | None = None
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_sender: str = Field(default="Smart AI Hub <no-reply@localhost>", description="Whom mail is from")

    password_min: int = Field(default=12, ge=8, le=64, description="Characters of a password beside a second factor")
    password_min_alone: int = Field(default=15, ge=8, le=64, description="... and of one that is the only factor")
    welcome_credits: int = Field(default=10, ge=0, le=1_000_000, description="For whoever proves their address first")

    webhook_allow: tuple[str, ...] = Field(
        default=(), description="CIDRs that webhooks may reach although they are private (development only)"
    )
    instance: str | None = Field(
        default=None, description="A name that is this process's only, and the same after a restart (host or pod name)"
    )
    reconcile_every_s: float = Field(default=60.0, gt=0)

    @model_validator(mode="after")
    def _secret_is_long(self) -> Self:
        if self.secret is not None and len(self.secret.get_secret_value()) < MIN_SECRET_LENGTH:
            raise ValueError(f"AIHUB_SECRET must have at least {MIN_SECRET_LENGTH} characters")
        if self.kafka_protocol.startswith("SASL") and not (self.kafka_username and self.kafka_password):
            raise ValueError("AIHUB_KAFKA_USERNAME and AIHUB_KAFKA_PASSWORD are needed for SASL")
        _ = self.limits
        return self

    @property
    def limits(self) -> Limits | None:
        """The rate limits in force; None: nobody is limited. Raises: ValueError for an unknown class or role."""
        return Limits().changed(self.rate_limits, self.ingest_plans) if self.rate_limiting else None

    @property
    def distributed(self) -> bool:
        """Whether the three engines are given by URL."""
        return bool(self.kafka_bootstrap and self.postgres_dsn and self.clickhouse_url)

    @property
    def smtp(self) -> SmtpOptions | None:
        """Where mail goes out; None: it stays in the outbox."""
        if self.smtp_host is None:
            return None
        return SmtpOptions(
            host=self.smtp_host,
            port=self.smtp_port,
            sender=self.smtp_sender,
            username=self.smtp_username,
            password=self.smtp_password.get_secret_value() if self.smtp_password else None,
            tls=self.smtp_tls,
            ca_file=self.smtp_ca_file,
        )

    @property
    def sealer(self) -> Sealer:
        """Seals and opens secrets at rest. Raises: ConfigError without a secret."""
        previous = (self.secret_previous.get_secret_value().encode(),) if self.secret_previous else ()
        return Sealer(self.pepper, *previous)

    @property
    def pepper(self) -> bytes:
        """The secret as bytes. Raises: ConfigError when it is not set: there is no default in production."""
        if self.secret is None:
            raise ConfigError("AIHUB_SECRET is not set: give every role the same 32 or more random characters")
        return self.secret.get_secret_value().encode()


def load_settings(**overrides: object) -> Settings:
    """The settings. Raises: ConfigError that names the variable and what is wrong with it, never its value."""
    try:
        return Settings(**{key: value for key, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        names = ("AIHUB_" + "_".join(str(part) for part in item["loc"]).upper() for item in found)
        raise ConfigError(
            "; ".join(f"{name.rstrip('_')}: {item['msg']}" for name, item in zip(names, found, strict=True))
        ) from None
