"""Apache Kafka's jars: fetched once, checked against `kafka-jars.lock` at every start, before a class is loaded."""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from infra.embedded.errors import EmbeddedError

LOCK_FILE = Path(__file__).with_name("kafka-jars.lock")
DOWNLOADS_AT_ONCE = 6


@dataclass(frozen=True)
class Jar:
    """One Maven artifact and the SHA-256 (hex) that its jar must have."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The jar's name in a folder of jars."""
        return f"{self.artifact}-{self.version}.jar"


Fetch = Callable[[Jar, Path], Path]
"""Gets a jar from where jars come from; the folder is for its use. Raises OSError or RuntimeError."""


def read_lock(file: Path = LOCK_FILE) -> list[Jar]:
    """The jars that Kafka is made of, in the order of its class path."""
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return [Jar(*line.replace(":", " ").split()) for line in lines]


def cache_directory() -> Path:
    """Where this user keeps downloads that can be fetched again."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "aihub"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aihub"


def fetch_with_jgo(jar: Jar, folder: Path) -> Path:
    """The jar as jgo, a Maven resolver, gets it from Maven Central or a mirror named in jgo's own settings."""
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext

    repositories = {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}
    maven = MavenContext(repo_cache=folder, local_repos=[], remote_repos=repositories, timeout=30)
    return Path(maven.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve())


def kafka_jars(
    jars: Sequence[Jar] | None = None,
    *,
    cache: Path | None = None,
    fetch: Fetch = fetch_with_jgo,
    cancelled: threading.Event | None = None,
) -> list[Path]:
    """The class path of Kafka: every jar is on disk and has the locked hash.

    Needs no network once the cache is warm. Safe for several processes at once. Blocks: call it in a thread and
    set `cancelled` to end it early.

    Raises: EmbeddedError when a jar cannot be had or is not the one that was locked.
    """
    wanted = read_lock() if jars is None else jars
    folder = (cache or cache_directory()) / "kafka-jars"
    if _missing(wanted, folder):
        _fetch_missing(wanted, folder, fetch, cancelled or threading.Event())
    return [folder / jar.file_name for jar in wanted]


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _missing(jars: Sequence[Jar], folder: Path) -> list[Jar]:
    found = {jar: folder / jar.file_name for jar in jars}
    return [jar for jar, file in found.items() if not file.is_file() or sha256_of(file) != jar.sha256]


def _fetch_missing(jars: Sequence[Jar], folder: Path, fetch: Fetch, cancelled: threading.Event) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (
            (folder / ".lock").open("w") as lock,
            tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as staging,
            ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool,
        ):
            fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be fetching them right now
            tasks = [
                pool.submit(_fetch_one, jar, folder, Path(staging), fetch, cancelled) for jar in _missing(jars, folder)
            ]
            try:
                for task in tasks:
                    task.result()
            finally:
                pool.shutdown(cancel_futures=True)
    except OSError as error:
        raise EmbeddedError(
            f"cannot keep Kafka's jars in {folder}: {error}; free some space there or set XDG_CACHE_HOME"
        ) from error


def _fetch_one(jar: Jar, folder: Path, staging: Path, fetch: Fetch, cancelled: threading.Event) -> None:
    if cancelled.is_set():
        raise EmbeddedError("fetching Kafka's jars was cancelled; start again")
    try:
        fetched = fetch(jar, staging)
    except (OSError, RuntimeError) as error:
        raise EmbeddedError(
            f"cannot get {jar.file_name} of Apache Kafka ({_brief(error)}); "
            "connect to the network once, or copy a warm cache to " + str(folder)
        ) from error
    if sha256_of(fetched) != jar.sha256:
        raise EmbeddedError(
            f"{jar.file_name} does not have the SHA-256 in {LOCK_FILE.name} and was refused; "
            "try again, and if it stays so, do not trust the place it came from"
        )
    draft = staging / f"checked-{jar.file_name}"
    shutil.copyfile(fetched, draft)
    draft.replace(folder / jar.file_name)


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:160]
