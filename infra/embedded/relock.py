"""Writes `kafka-jars.lock` anew: `python -m infra.embedded.relock`, after changing a version below."""

import tempfile
from pathlib import Path

from infra.embedded.jars import LOCK_FILE, Jar, fetch_with_jgo, sha256_of

KAFKA = "org.apache.kafka:kafka_2.13:4.4.0"
SLF4J_BINDING = Jar("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.5", "")
"""Of the Log4j version that Kafka brings, and for SLF4J 1.7, which Kafka brings. It is not resolved together with
Kafka: its parent would then decide other versions, down to the Kafka client's.
"""

HEADER = """\
# The jars of Apache Kafka and an SLF4J binding, in class path order: group:artifact:version SHA-256
# Written by `python -m infra.embedded.relock`; checked at every start.
"""


def main() -> None:
    """Resolve the dependencies, fetch every jar and write its hash."""
    import jgo

    artifacts = jgo.resolve(KAFKA)
    with tempfile.TemporaryDirectory() as staging:
        jars = [Jar(a.groupId, a.artifactId, a.version, "") for a in artifacts if a.packaging == "jar"]
        jars.append(SLF4J_BINDING)
        lines = [
            f"{jar.group}:{jar.artifact}:{jar.version} {sha256_of(fetch_with_jgo(jar, Path(staging)))}\n"
            for jar in jars
        ]
    LOCK_FILE.write_text(HEADER + "".join(lines))


if __name__ == "__main__":
    main()
