"""ClickHouse's engine inside this process (chDB): the directory, opened once and kept open."""

from pathlib import Path
from typing import Any

from infra.embedded.errors import EmbeddedError


class ClickHouseEngine:
    """The engine of this process; clients open the same `path` and share it.

    A process has one engine and an engine one directory. Holding this open keeps the engine when the last client
    closes: opening it again would cost a quarter of a second.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.version = ""
        self._connection: Any = None

    def open(self) -> None:
        """Open the directory. Blocks for half a second: call it in a thread.

        Raises: EmbeddedError when this process has another directory open, or the engine cannot read this one.
        """
        import chdb

        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            connect: Any = chdb.connect
            self._connection = connect(str(self.path))
            self.version = str(self._connection.query("SELECT version()", "TabSeparated")).strip()
        except RuntimeError as error:
            reason = str(error).splitlines()[0][:240]
            raise EmbeddedError(f"ClickHouse cannot open {self.path} ({reason}); restore it from a backup") from error

    def close(self) -> None:
        """Give the directory back. Close the clients first."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
