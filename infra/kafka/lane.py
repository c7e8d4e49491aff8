"""Group commit: values that wait for one partition travel together as one record batch."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

Headers = Sequence[tuple[str, bytes]]
Offsets = asyncio.Future[int]
"""Resolves to the offset of the first record of a share."""


class Parcel:
    """One record batch on its way, shared by whoever came in time."""

    __slots__ = ("_waiters", "born", "builder", "records")

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.records = 0
        self.born = time.monotonic()
        self._waiters: list[tuple[Offsets, int]] = []

    def take(self, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> bool:
        """Whether there was room for one more record; the first always fits, none does once the parcel has left."""
        if self.builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
            return False
        self.records += 1
        return True

    def share(self, waiter: Offsets, first: int) -> None:
        """Lets `waiter` know where its records stand, the first of which is the parcel's number `first`."""
        self._waiters.append((waiter, first))

    def landed(self, base: int) -> None:
        """The batch was acknowledged: its first record stands at `base`."""
        for waiter, first in self._waiters:
            if not waiter.done():
                waiter.set_result(base + first)

    def fail(self, error: Exception) -> None:
        """Tells whoever still waits."""
        for waiter, _ in self._waiters:
            if not waiter.done():
                waiter.set_exception(error)
                waiter.exception()  # nobody need be listening any more


class Lane:
    """One partition: a parcel stays open until aiokafka takes it; what comes later is packed into the next.

    One future a `send`, not a record, which is most of the CPU of aiokafka's own `send()`; singles that come
    together share a batch. Records of one `append` stay together and in order.
    """

    def __init__(self, inner: AIOKafkaProducer, topic: str, partition: int, acked: Callable[[], None]) -> None:
        self._inner = inner
        self._topic = topic
        self._partition = partition
        self._acked = acked
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Parcel] = deque()
        self._flights: dict[Parcel, asyncio.Task[None]] = {}

    def append(self, key: bytes | None, values: Sequence[bytes | None], headers: Headers) -> list[tuple[Offsets, int]]:
        """The futures of the values' places, and how many values each stands for: one, unless a batch was full."""
        listed = list(headers)
        parcel = self._queue[-1] if self._queue else self._open()
        shares, first = [], parcel.records
        for value in values:
            if not parcel.take(key, value, listed):
                if parcel.records > first:
                    shares.append(self._share(parcel, first))
                parcel, first = self._open(), 0
                parcel.take(key, value, listed)
        shares.append(self._share(parcel, first))
        return shares

    def overdue(self, born_before: float) -> bool:
        """Whether a parcel older than that is still without an answer."""
        return any(parcel.born < born_before for parcel in (*self._flights, *self._queue))

    def give_up(self, error: Exception) -> None:
        """Ends every wait. What is still queued here is certainly not written; what aiokafka has may still be."""
        for parcel in (*self._queue, *self._flights):
            parcel.builder.close()
            parcel.fail(error)
        while len(self._queue) > 1:
            self._queue.pop()

    def abandon(self, error: Exception) -> None:
        """Ends the lane together with its producer."""
        self.give_up(error)
        for flight in self._flights.values():
            flight.cancel()

    def _share(self, parcel: Parcel, first: int) -> tuple[Offsets, int]:
        waiter: Offsets = self._loop.create_future()
        parcel.share(waiter, first)
        return waiter, parcel.records - first

    def _open(self) -> Parcel:
        parcel = Parcel(self._inner.create_batch())
        self._close_when_taken(parcel)
        self._queue.append(parcel)
        if len(self._queue) == 1:
            self._depart(parcel)
        return parcel

    def _depart(self, parcel: Parcel) -> None:
        self._flights[parcel] = self._loop.create_task(self._fly(parcel))

    def _close_when_taken(self, parcel: Parcel) -> None:
        """aiokafka numbers a batch when it takes it and closes it a turn of the loop later: close it in time."""
        builder = parcel.builder
        number = builder._set_producer_state

        def taken(*args: Any) -> None:
            number(*args)
            builder.close()
            self._taken(parcel)

        builder._set_producer_state = taken

    def _taken(self, parcel: Parcel) -> None:
        if self._queue and self._queue[0] is parcel:
            self._queue.popleft()
            if self._queue:
                self._depart(self._queue[0])

    async def _fly(self, parcel: Parcel) -> None:
        try:
            answer = await self._inner.send_batch(parcel.builder, self._topic, partition=self._partition)
            metadata = await answer
        except KafkaError as error:
            parcel.fail(error)
        else:
            self._acked()
            parcel.landed(metadata.offset)
        finally:
            parcel.fail(KafkaError("the record batch could not be sent"))
            self._flights.pop(parcel, None)
            self._taken(parcel)
