"""Runs a coroutine to its end on a fast event loop."""

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

from infra.app import heap

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result; a lone error inside an exception group comes out as itself."""
    # What was imported stays: it need not be looked at again and again. Measured: 10-17 us less CPU per booked event.
    gc.collect()
    gc.freeze()
    gc.set_threshold(250_000, 50, 100)
    heap.few_arenas()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_thrifty(work))
    except BaseExceptionGroup as group:
        raise innermost(group) from None


async def _thrifty(work: Coroutine[Any, Any, T]) -> T:
    giving_back = asyncio.create_task(heap.give_back())
    try:
        return await work
    finally:
        giving_back.cancel()


def innermost(error: BaseException) -> BaseException:
    """The first real error inside nested exception groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
