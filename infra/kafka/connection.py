"""A connection whose transport is closed already is broken: aiokafka is told so as it expects it.

uvloop raises RuntimeError for a write to a transport that it has closed (asyncio writes into the void). aiokafka 0.14
takes that for a bug: a consumer's coordination ends for good when its broker dies at that instant (seen in the fault
suite). A connection error it bears, and connects anew.
"""

from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_send = AIOKafkaConnection.send


def _send_if_open(self: Any, request: Any, expect_response: bool = True) -> Any:
    writer = self._writer
    if writer is not None and writer.transport.is_closing():
        self.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"Connection at {self._host}:{self._port} is closed")
    return _send(self, request, expect_response)


def install() -> None:
    """Makes every connection of this process behave so; again is harmless."""
    AIOKafkaConnection.send = _send_if_open
