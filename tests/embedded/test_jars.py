"""Only the jars that were locked are loaded, and a warm cache needs no network."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.embedded.errors import EmbeddedError
from infra.embedded.jars import LOCK_FILE, Jar, cache_directory, kafka_jars, read_lock, sha256_of

CONTENTS = {"a": b"first", "b": b"second"}
JARS = [Jar("org.example", name, "1", hashlib.sha256(content).hexdigest()) for name, content in CONTENTS.items()]


def honest(jar: Jar, folder: Path) -> Path:
    file = folder / jar.file_name
    file.write_bytes(CONTENTS[jar.artifact])
    return file


def forged(jar: Jar, folder: Path) -> Path:
    file = folder / jar.file_name
    file.write_bytes(b"forged")
    return file


def offline(jar: Jar, _folder: Path) -> Path:
    raise OSError(f"no network for {jar.artifact}")


def test_every_jar_is_fetched_and_checked_once(tmp_path: Path) -> None:
    found = kafka_jars(JARS, cache=tmp_path, fetch=honest)
    assert [file.read_bytes() for file in found] == list(CONTENTS.values())
    assert sorted((tmp_path / "kafka-jars").glob("*.jar")) == sorted(found)


def test_a_warm_cache_needs_no_network(tmp_path: Path) -> None:
    first = kafka_jars(JARS, cache=tmp_path, fetch=honest)
    assert kafka_jars(JARS, cache=tmp_path, fetch=offline) == first


def test_a_jar_with_another_hash_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"does not have the SHA-256 in kafka-jars\.lock"):
        kafka_jars(JARS, cache=tmp_path, fetch=forged)
    assert list((tmp_path / "kafka-jars").glob("*.jar")) == []


def test_a_jar_that_was_changed_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    first, _ = kafka_jars(JARS, cache=tmp_path, fetch=honest)
    first.write_bytes(b"changed")
    kafka_jars(JARS, cache=tmp_path, fetch=honest)
    assert first.read_bytes() == CONTENTS["a"]


def test_a_jar_that_was_changed_in_the_cache_is_refused_without_network(tmp_path: Path) -> None:
    kafka_jars(JARS, cache=tmp_path, fetch=honest)[0].write_bytes(b"changed")
    with pytest.raises(EmbeddedError, match=r"cannot get a-1\.jar"):
        kafka_jars(JARS, cache=tmp_path, fetch=offline)


@pytest.mark.parametrize("failure", [OSError("unreachable\nand more"), RuntimeError("not found")])
def test_a_jar_that_cannot_be_had_is_one_line_that_says_what_to_do(tmp_path: Path, failure: Exception) -> None:
    def failing(_jar: Jar, _folder: Path) -> Path:
        raise failure

    with pytest.raises(EmbeddedError, match="connect to the network once") as caught:
        kafka_jars(JARS, cache=tmp_path, fetch=failing)
    assert "\n" not in caught.value.message


def test_a_cache_that_cannot_be_written_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "kafka-jars").write_text("")
    with pytest.raises(EmbeddedError, match="set XDG_CACHE_HOME"):
        kafka_jars(JARS, cache=tmp_path, fetch=honest)


def test_two_at_once_fetch_every_jar_once(tmp_path: Path) -> None:
    fetched: list[str] = []

    def counting(jar: Jar, folder: Path) -> Path:
        fetched.append(jar.artifact)
        return honest(jar, folder)

    found: list[list[Path]] = []
    work: Callable[[], None] = lambda: found.append(kafka_jars(JARS, cache=tmp_path, fetch=counting))  # noqa: E731
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(fetched) == ["a", "b"]
    assert len(found) == 4


def test_a_fetch_that_was_cancelled_stops(tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(EmbeddedError, match="was cancelled"):
        kafka_jars(JARS, cache=tmp_path, fetch=offline, cancelled=cancelled)


def test_the_lock_names_kafka_and_one_binding_of_its_log_interface() -> None:
    jars = {jar.artifact: jar.version for jar in read_lock()}
    assert jars["kafka_2.13"] == jars["kafka-clients"] == "4.4.0"
    assert jars["log4j-slf4j-impl"] == jars["log4j-core"]
    assert jars["slf4j-api"].startswith("1.7.")
    assert all(len(jar.sha256) == 64 for jar in read_lock())


def test_no_address_is_written_in_the_lock() -> None:
    assert "://" not in LOCK_FILE.read_text()


def test_the_cache_is_where_the_user_keeps_such_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_directory() == Path("/somewhere/aihub")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_directory() == Path.home() / ".cache" / "aihub"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_directory() == Path.home() / "Library" / "Caches" / "aihub"


def test_the_hash_is_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"first")
    assert sha256_of(tmp_path / "x") == JARS[0].sha256
