"""Settings come from the environment, and what is wrong with one is said without its value."""

import json
from pathlib import Path

import pytest

from contracts.errors import ConfigError
from infra.app.compose import kafka_options, open_clickhouse, postgres_dsn
from infra.settings import load_settings


def test_nothing_is_needed_to_run_embedded() -> None:
    settings = load_settings()
    assert settings.home == Path(".aihub")
    assert not settings.distributed


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIHUB_KAFKA_BOOTSTRAP", "one:9092,two:9092")
    monkeypatch.setenv("AIHUB_KAFKA_TOPIC_PREFIX", "eu.")
    monkeypatch.setenv("AIHUB_POSTGRES_DSN", "postgresql://u:p@h/d")
    monkeypatch.setenv("AIHUB_CLICKHOUSE_URL", "http://u:p@h:8123")
    settings = load_settings(port=9000)
    assert settings.distributed
    assert settings.port == 9000
    assert kafka_options(settings).topics.prefix == "eu."
    assert postgres_dsn(settings) == "postgresql://u:p@h/d"


def test_tls_and_sasl_reach_kafkas_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIHUB_KAFKA_BOOTSTRAP", "one:9093")
    monkeypatch.setenv("AIHUB_KAFKA_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("AIHUB_KAFKA_SASL_MECHANISM", "SCRAM-SHA-512")
    monkeypatch.setenv("AIHUB_KAFKA_USERNAME", "hub")
    monkeypatch.setenv("AIHUB_KAFKA_PASSWORD", "secret")
    arguments = kafka_options(load_settings()).client_arguments()
    assert arguments["security_protocol"] == "SASL_SSL"
    assert arguments["ssl_context"] is not None
    assert (arguments["sasl_mechanism"], arguments["sasl_plain_username"]) == ("SCRAM-SHA-512", "hub")
    assert arguments["sasl_plain_password"] == "secret"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("AIHUB_PORT", "99999", "AIHUB_PORT"),
        ("AIHUB_SECRET", "short-secret-value", "at least 32"),
        ("AIHUB_KAFKA_PROTOCOL", "SASL_SSL", "AIHUB_KAFKA_USERNAME"),
        ("AIHUB_LOG_LEVEL", "LOUD", "AIHUB_LOG_LEVEL"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_kept_secret(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as refused:
        load_settings()
    assert says in refused.value.message
    assert value not in refused.value.message or name == "AIHUB_KAFKA_PROTOCOL"


def test_what_is_missing_for_distributed_is_said() -> None:
    settings = load_settings()
    with pytest.raises(ConfigError, match="AIHUB_KAFKA_BOOTSTRAP"):
        kafka_options(settings)
    with pytest.raises(ConfigError, match="AIHUB_POSTGRES_DSN"):
        postgres_dsn(settings)
    with pytest.raises(ConfigError, match="AIHUB_CLICKHOUSE_URL"):
        open_clickhouse(settings)
    with pytest.raises(ConfigError, match="AIHUB_SECRET"):
        _ = settings.pepper


def test_rate_limits_are_changed_figure_by_figure_and_mistakes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIHUB_RATE_LIMITS", '{"default": {"user": 7, "admin": 500}}')
    monkeypatch.setenv("AIHUB_INGEST_PLANS", '{"free": 600}')
    limits = load_settings().limits
    assert limits is not None
    assert limits.classes["default"] == {"guest": 10, "user": 7, "manager": 120, "admin": 500}
    assert limits.plans == {"unlimited": None, "free": 600}
    assert load_settings(rate_limiting=False).limits is None
    for wrong in ('{"nothing": {}}', '{"default": {"nobody": 1}}', '{"default": {"user": 0}}'):
        monkeypatch.setenv("AIHUB_RATE_LIMITS", wrong)
        with pytest.raises(ConfigError):
            load_settings()


def test_providers_of_log_ins_are_json_completed_by_what_is_known_of_their_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = {"client_id": "c", "client_secret": "hidden"}
    given = {"google": own, "github": own, "acme": {**own, "issuer": "https://id.acme.example"}}
    monkeypatch.setenv("AIHUB_OIDC_PROVIDERS", json.dumps(given))
    providers = load_settings().oidc_providers
    assert {name: one.issuer for name, one in providers.items()} == {
        "google": "https://accounts.google.com",
        "github": "https://github.com",
        "acme": "https://id.acme.example",
    }
    assert (providers["google"].kind, providers["github"].kind) == ("oidc", "github")
    assert "hidden" not in repr(providers)


@pytest.mark.parametrize(
    "issuer", ["http://id.acme.example", "", "id.acme.example", "https://x/.well-known/openid-configuration"]
)
def test_an_issuer_without_tls_is_refused_and_its_secret_not_told(monkeypatch: pytest.MonkeyPatch, issuer: str) -> None:
    given = {"acme": {"client_id": "c", "client_secret": "hidden", "issuer": issuer}}
    monkeypatch.setenv("AIHUB_OIDC_PROVIDERS", json.dumps(given))
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert "AIHUB_OIDC_PROVIDERS" in caught.value.message
    assert "hidden" not in caught.value.message
