"""One-line start-up errors: what failed, what to do, and which log tells more."""

from pathlib import Path

from contracts.errors import EngineError

TELLING = ("ERROR", "FATAL", "PANIC", "Exception", "could not")
"""What marks the lines of a log that say why."""


class EmbeddedError(EngineError):
    """An embedded engine, its files or its home directory are not usable; the message is one line."""


def log_tail(log: Path, *, since: int = 0, lines: int = 3, width: int = 240) -> str:
    """The last telling lines of `log` from byte `since` on, as one line; errors are preferred to other lines."""
    try:
        with log.open("rb") as file:
            file.seek(since if log.stat().st_size >= since else 0)
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    written = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in written if any(sign in line for sign in TELLING)]
    return " | ".join(line[:width] for line in (telling or written)[-lines:])


def start_failed(engine: str, reason: str, log: Path, *, since: int = 0) -> EmbeddedError:
    """The error for a server that did not come up: names `log` and quotes its last lines."""
    quoted = log_tail(log, since=since)
    return EmbeddedError(f"{engine} {reason}; see {log}" + (f" (last lines: {quoted})" if quoted else ""))
