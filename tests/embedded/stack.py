"""A process that runs the whole stack until its standard input ends: `python -m tests.embedded.stack HOME [COMMAND]`.

It prints one JSON line when the engines answer; COMMAND is SQL for ClickHouse, whose answer is in that line.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from infra.embedded.engines import EmbeddedOptions, start_engines
from infra.embedded.errors import EmbeddedError


async def main(home: Path, sql: list[str]) -> None:
    async with start_engines(EmbeddedOptions(home=home)) as engines:
        import chdb

        connect: Any = chdb.connect
        connection = connect(str(engines.clickhouse_path))
        rows = [str(connection.query(statement, "TabSeparated")).strip() for statement in sql]
        connection.close()
        print(
            json.dumps(
                {
                    "kafka_bootstrap": engines.kafka_bootstrap,
                    "postgres_dsn": engines.postgres_dsn,
                    "versions": engines.versions,
                    "pids": [engines.kafka.pid, engines.postgres.pid],
                    "rows": rows,
                }
            ),
            flush=True,
        )
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    try:
        asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
    except EmbeddedError as error:
        print(json.dumps({"error": error.message}), flush=True)
        sys.exit(1)
