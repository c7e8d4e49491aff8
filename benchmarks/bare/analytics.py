"""The limit of the analytics consumer: its very rows, insert by insert, by clickhouse-connect and nothing else.

No Kafka, no decoding, no lookups: the values are ready, as Python has them (times as whole microseconds, the cheapest
form), and the columns' types are known. The same tables in the same order, the same blocks, the same rows: facts, the
identities that make them count once, and the progress. `tables` chooses what is written.

`oriented` is how a script holds them. "rows": tuples, what `client.insert(table, rows)` takes and what a script has
that read records one by one. "columns": lists that somebody has already made, which saves the driver the turning.
"""

import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import clickhouse_connect

SETTINGS: Final = {"async_insert": 0, "insert_deduplicate": 0}
"""As the consumer inserts: answered when the rows are in the table."""


class Insert(NamedTuple):
    """One insert of one batch; `batch` numbers the batches. `data` is rows or columns."""

    batch: int
    table: str
    names: Sequence[str]
    data: Sequence[Sequence[Any]]


def write(
    path: Path, database: str, inserts: Sequence[Insert], tables: Collection[str], oriented: Literal["rows", "columns"]
) -> dict[int, float]:
    """Inserts them in order; when each batch was in the tables."""
    client = clickhouse_connect.get_client(interface="chdb", path=str(path), database=database, settings=SETTINGS)
    types = {}
    for table in tables:
        names, kinds = client.query(f"DESCRIBE TABLE {table}").result_columns[:2]
        types[table] = dict(zip(names, kinds, strict=True))
    ends: dict[int, float] = {}
    for insert in inserts:
        if insert.table in tables:
            client.insert(
                insert.table, insert.data, column_names=insert.names,
                column_type_names=[types[insert.table][name] for name in insert.names],
                column_oriented=oriented == "columns",
            )  # fmt: skip
            ends[insert.batch] = time.monotonic()
    client.close()
    return ends
