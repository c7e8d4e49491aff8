"""Bounded waiting: the only way tests wait."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(predicate: Callable[[], T | Awaitable[T]], *, within_s: float = 10.0, every_s: float = 0.02) -> T:
    """The first truthy value of the predicate. Raises: AssertionError with the last value when the time is over."""
    deadline = time.monotonic() + within_s
    while True:
        value = predicate()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {within_s} s; the last value was {value!r}"
        await asyncio.sleep(every_s)
