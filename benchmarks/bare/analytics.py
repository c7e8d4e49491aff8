"""The limit of the analytics consumer: its very rows, insert by insert, by clickhouse-connect and nothing else.

No Kafka, no decoding, no lookups: the columns are ready. `tables` chooses what is written: the facts alone, or with
the identities and progress that make every event count once.
"""

import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import clickhouse_connect


class Insert(NamedTuple):
    """One insert of one batch; `batch` numbers the batches."""

    batch: int
    table: str
    columns: Sequence[Sequence[Any]]
    names: Sequence[str]
    types: Sequence[str]


def write(path: Path, database: str, inserts: Sequence[Insert], tables: Collection[str]) -> dict[int, float]:
    """Inserts them in order; when each batch was in the tables."""
    client = clickhouse_connect.get_client(interface="chdb", path=str(path), database=database)
    ends: dict[int, float] = {}
    for insert in inserts:
        if insert.table in tables:
            client.insert(
                insert.table, insert.columns, column_names=insert.names, column_type_names=insert.types,
                column_oriented=True,
            )  # fmt: skip
            ends[insert.batch] = time.monotonic()
    client.close()
    return ends
