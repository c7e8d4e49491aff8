"""A producer of aiokafka that is replaced when it is of no use any more."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from contracts.errors import BrokerUnavailable
from contracts.topics import TOPICS
from infra.kafka.options import KafkaOptions

BATCH_BYTES: Final = 256 * 1024
_PROBE_S: Final = 1.0
_CONNECT_S: Final = 5.0

_log = structlog.get_logger(__name__)


class ProducerConnection:
    """Connects, goes on trying, and asks the broker each second; `lost` hears why what was sent waits in vain.

    A silent broker ends it only when `busy` says that nothing is on its way: that has a deadline of its own.
    """

    def __init__(
        self,
        options: KafkaOptions,
        *,
        deadline_s: float,
        compression: str | None,
        busy: Callable[[], bool],
        lost: Callable[[BrokerUnavailable], None],
    ) -> None:
        self.producer: AIOKafkaProducer | None = None
        self.last_ack = time.monotonic()
        self._options = options
        self._deadline_s = deadline_s
        self._compression = compression
        self._busy = busy
        self._lost = lost
        self._up = asyncio.Event()
        self._down_since = time.monotonic()
        self._reachable = False
        self._keeper: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begins to connect; does not fail when the broker is down."""
        self._down_since = time.monotonic()
        self._keeper = asyncio.create_task(self._keep())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._up.wait()

    async def rest(self) -> bool:
        """Connects no more; False when it did not."""
        if self._keeper is None:
            return False
        self._keeper.cancel()
        await asyncio.wait({self._keeper})
        self._keeper = None
        return True

    async def close(self) -> None:
        """Drops the connection, and waits until it is closed, for the deadline at most."""
        self.lose("the producer was stopped")
        if self._closing:
            await asyncio.wait(self._closing, timeout=self._deadline_s)

    @property
    def healthy(self) -> bool:
        """Whether the broker answered the last time that it was asked, or acknowledged since."""
        return self.producer is not None and self._reachable

    def acked(self) -> None:
        """The broker has acknowledged something."""
        self.last_ack = time.monotonic()
        self._reachable = True

    async def get(self) -> AIOKafkaProducer:
        """Waits for the connection for the deadline, once; refuses at once when the broker is known to be down."""
        while self.producer is None:
            left = self._down_since + self._deadline_s - time.monotonic()
            if left <= 0 or self._keeper is None:
                raise unavailable("cannot be reached")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._up.wait()
        return self.producer

    def lose(self, reason: str) -> None:
        """Drops the connection and all that waits on it; a new one is made."""
        producer, self.producer = self.producer, None
        if producer is None:
            return
        if self._keeper is not None:
            _log.warning("kafka.producer.lost", reason=reason)
        self._up.clear()
        self._reachable = False
        self._down_since = time.monotonic()
        self._lost(unavailable(f"was lost: {reason}"))
        task = asyncio.create_task(_discard(producer))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _keep(self) -> None:
        pause = _PROBE_S / 4
        while True:
            if self.producer is None:
                await self._connect()
                pause = _PROBE_S if self.producer else min(pause * 2, 2 * _PROBE_S)
            elif not await self._answers(self.producer) and not self._busy():
                self.lose("the broker does not answer")
                pause = _PROBE_S / 4
            await asyncio.sleep(pause)

    async def _connect(self) -> None:
        producer = AIOKafkaProducer(
            **self._options.client_arguments() | {"request_timeout_ms": int(_CONNECT_S * 1000)},
            acks="all",
            enable_idempotence=True,
            compression_type=self._compression,
            max_batch_size=BATCH_BYTES,
            max_request_size=max(topic.max_message_bytes for topic in TOPICS),
            linger_ms=0,
        )
        try:
            async with asyncio.timeout(_CONNECT_S):
                await producer.start()
        except (KafkaError, TimeoutError, OSError):
            await _discard(producer)
        except asyncio.CancelledError:
            await _discard(producer)
            raise
        else:
            self.producer, self.last_ack, self._reachable = producer, time.monotonic(), True
            self._up.set()

    async def _answers(self, producer: AIOKafkaProducer) -> bool:
        """Asks for metadata; a producer whose sender task has died is lost at once."""
        sender = producer._sender.sender_task  # aiokafka 0.14 has no public way to ask
        if sender is None or sender.done():
            self.lose("its sender ended")
            return False
        try:
            async with asyncio.timeout(self._deadline_s / 2):
                self._reachable = bool(await producer.client.force_metadata_update())
        except (KafkaError, TimeoutError, OSError):
            self._reachable = False
        return self._reachable


def unavailable(what: str) -> BrokerUnavailable:
    """The error that tells what Kafka did, or did not."""
    return BrokerUnavailable(f"Kafka {what}; try again")


async def _discard(producer: AIOKafkaProducer) -> None:
    """Closes without flushing: `stop()` would wait for a broker that is gone (aiokafka 0.14: private attributes)."""
    producer._closed = True
    sender = producer._sender.sender_task
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(_CONNECT_S):
            await producer.client.close()
    if sender is not None:
        sender.cancel()
        await asyncio.wait({sender}, timeout=_CONNECT_S)
        if sender.done() and not sender.cancelled():
            sender.exception()
