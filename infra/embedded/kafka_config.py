"""What a Kafka node is told: pure functions of its identity, ports and place."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.embedded.ports import LOOPBACK

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
MAX_REQUEST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Voter:
    """A controller of the quorum: every node is one."""

    node_id: int
    controller_port: int


@dataclass(frozen=True)
class NodeConfig:
    """One broker and controller. Ports may differ from start to start; node id and directory may not.

    `replication` is the number of copies of what has no number of its own; `min_in_sync` how many of them
    acks=all waits for.
    """

    node_id: int
    broker_port: int
    voters: tuple[Voter, ...]
    directory: Path
    log: Path
    replication: int = 1
    min_in_sync: int = 1

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients."""
        return f"{LOOPBACK}:{self.broker_port}"


def server_properties(node: NodeConfig) -> str:
    """The broker's configuration file."""
    controller_port = next(v.controller_port for v in node.voters if v.node_id == node.node_id)
    return _lines(
        {
            "process.roles": "broker,controller",
            "node.id": node.node_id,
            "controller.quorum.voters": ",".join(f"{v.node_id}@{LOOPBACK}:{v.controller_port}" for v in node.voters),
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "BROKER",
            "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "listeners": f"BROKER://{node.bootstrap},CONTROLLER://{LOOPBACK}:{controller_port}",
            "advertised.listeners": f"BROKER://{node.bootstrap}",
            "log.dirs": node.directory / "data",
        }
        | _durability(node)
        | _QUICK_RETURN
        | _SMALL
    )


def _durability(node: NodeConfig) -> dict[str, object]:
    """One machine: what an acknowledgement promises is on the disk (a quarter of the throughput, measured)."""
    return {
        "log.flush.interval.messages": 1,
        "default.replication.factor": node.replication,
        "min.insync.replicas": node.min_in_sync,
        "unclean.leader.election.enable": "false",
        "offsets.topic.replication.factor": node.replication,
        "transaction.state.log.replication.factor": node.replication,
        "transaction.state.log.min.isr": node.min_in_sync,
        "share.coordinator.state.topic.replication.factor": node.replication,
        "share.coordinator.state.topic.min.isr": node.min_in_sync,
        "auto.create.topics.enable": "false",
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
        "socket.request.max.bytes": MAX_REQUEST_BYTES,
        "queued.max.request.bytes": 2 * MAX_REQUEST_BYTES,
    }


_QUICK_RETURN: dict[str, object] = {
    # After kill -9 the dead broker's registration must lapse first: 12 s by default, 4 s so.
    "broker.heartbeat.interval.ms": 500,
    "broker.session.timeout.ms": 2500,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    "num.recovery.threads.per.data.dir": 2,
}

_SMALL: dict[str, object] = {
    "offsets.topic.num.partitions": 8,
    "transaction.state.log.num.partitions": 2,
    "share.coordinator.state.topic.num.partitions": 1,
    "num.network.threads": 2,
    "num.io.threads": 4,
    "background.threads": 2,
    "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
    "metric.reporters": "",
}


def log4j_properties(log: Path) -> str:
    """The logging configuration: `log` and four older files of 10 MB."""
    return _lines(
        {
            "status": "error",
            "shutdownHook": "disable",
            "appender.file.type": "RollingFile",
            "appender.file.name": "file",
            "appender.file.fileName": log,
            "appender.file.filePattern": f"{log}.%i",
            "appender.file.layout.type": "PatternLayout",
            "appender.file.layout.pattern": "%d{yyyy-MM-dd'T'HH:mm:ss.SSSX}{UTC} %p %m (%c)%n",
            "appender.file.policies.type": "Policies",
            "appender.file.policies.size.type": "SizeBasedTriggeringPolicy",
            "appender.file.policies.size.size": "10MB",
            "appender.file.strategy.type": "DefaultRolloverStrategy",
            "appender.file.strategy.max": 4,
            "rootLogger.level": "warn",
            "rootLogger.appenderRef.file.ref": "file",
            "logger.version.name": "org.apache.kafka.common.utils.internals.AppInfoParser",
            "logger.version.level": "info",
            "logger.server.name": "kafka.server.KafkaRaftServer",
            "logger.server.level": "info",
        }
    )


def java_command(java: Path, jars: Sequence[Path], directory: Path, main: str, *arguments: str) -> list[str]:
    """The command line of a program out of Kafka's jars.

    No class data sharing: the wheel's JRE comes without the base archive that it needs, and says nothing.
    """
    return [
        str(java),
        "-Xms64m",
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-XX:MinHeapFreeRatio=10",  # a heap as large as what lives in it, not twice that
        "-XX:MaxHeapFreeRatio=25",
        "-XX:TieredStopAtLevel=1",
        "-Xlog:disable",
        "-Xlog:all=error:stderr",
        "-XX:-UsePerfData",
        "-XX:+ExitOnOutOfMemoryError",
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
        "-Djava.awt.headless=true",
        f"-Djava.io.tmpdir={directory / 'tmp'}",
        f"-Dlog4j2.configurationFile={directory / 'log4j2.properties'}",
        "-cp",
        ":".join(map(str, jars)),
        main,
        *arguments,
    ]


def _lines(settings: dict[str, object]) -> str:
    """A Java properties file; a backslash in a path would start an escape."""
    return "".join(f"{key}={str(value).replace(chr(92), chr(92) * 2)}\n" for key, value in settings.items())
