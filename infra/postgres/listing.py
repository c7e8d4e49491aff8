"""Lists that begin with the newest row: a part of one, and how many rows there are in all."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, tuple_

from infra.postgres.database import Tx


class Window(NamedTuple):
    """Which rows: at most `limit` after the position, or without the first `offset`; `counted`: and the total."""

    limit: int
    after: tuple[Any, ...] | None = None
    offset: int = 0
    counted: bool = False


async def newest_first(
    tx: Tx, query: Select[Any], place: tuple[ColumnElement[Any], ColumnElement[Any]], window: Window
) -> tuple[Sequence[Any], int | None]:
    """The rows of the window, and the total if it is wanted; `place` (instant, id) orders them."""
    total = None
    if window.counted:
        total = await tx.scalar(query.with_only_columns(func.count(), maintain_column_froms=True))
    if window.after is not None:
        query = query.where(tuple_(*place) < tuple_(*window.after))
    ordered = query.order_by(*(column.desc() for column in place)).limit(window.limit).offset(window.offset)
    return (await tx.execute(ordered)).all(), total
