"""How a client is told to reach Kafka."""

import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import ConfigError
from infra.kafka.options import KafkaOptions, Security, partition_of


def test_a_plain_cluster_needs_no_security_arguments() -> None:
    arguments = KafkaOptions("a:1, b:2").client_arguments()
    assert arguments["bootstrap_servers"] == ["a:1", "b:2"]
    assert not [name for name in arguments if name.startswith(("ssl", "sasl", "security"))]


def test_sasl_over_tls_reaches_the_client() -> None:
    security = Security("SASL_SSL", mechanism="SCRAM-SHA-256", username="hub", password="secret")
    arguments = KafkaOptions("a:1", security=security).client_arguments()
    assert arguments["security_protocol"] == "SASL_SSL"
    assert isinstance(arguments["ssl_context"], ssl.SSLContext)
    assert arguments["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert arguments["ssl_context"].check_hostname
    assert arguments["sasl_mechanism"] == "SCRAM-SHA-256"
    assert (arguments["sasl_plain_username"], arguments["sasl_plain_password"]) == ("hub", "secret")


def test_tls_alone_carries_no_credentials() -> None:
    arguments = Security("SSL").client_arguments()
    assert arguments.keys() == {"security_protocol", "ssl_context"}


def test_sasl_without_credentials_is_refused() -> None:
    with pytest.raises(ConfigError, match="user name and a password"):
        Security("SASL_PLAINTEXT", username="hub")


def test_a_missing_certificate_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TLS files"):
        Security("SSL", cafile=tmp_path / "none.pem").client_arguments()


def test_the_password_is_in_no_repr() -> None:
    assert "secret" not in repr(KafkaOptions("a:1", security=Security("SASL_SSL", username="u", password="secret")))


@pytest.mark.parametrize(
    "key, partition",
    # Computed by org.apache.kafka.common.utils.Utils.murmur2, as the Java client's tests list them.
    [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536), (b"abc", 479470107)],
)
def test_keys_go_where_the_java_client_puts_them(key: bytes, partition: int) -> None:
    assert partition_of(key, 1_000_003) == (partition & 0x7FFFFFFF) % 1_000_003


@given(key=st.binary(max_size=60), partitions=st.integers(1, 100))
def test_every_key_has_a_partition(key: bytes, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions
