"""FastStream's broker, with consumers of ours, handing over batches as they are."""

from collections.abc import Callable
from typing import Any

from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaMessage


class UndecodedBroker(KafkaBroker):
    """Its consumers are made by `builder`; nothing in a batch is looked at: one bad header or body would void it."""

    def __init__(self, url: str, *, builder: Callable[..., Any], **arguments: Any) -> None:
        super().__init__(url, **arguments)
        self._builder = builder

    async def _connect(self) -> Callable[..., Any]:
        await super()._connect()
        self.config.broker_config.builder = self._builder
        return self._builder


async def parse(message: Any) -> KafkaMessage:
    """The batch as FastStream wants it, but with no header or body looked at."""
    return KafkaMessage(raw_message=message, body=b"", consumer=None)  # type: ignore[arg-type]


async def decode(message: KafkaMessage) -> Any:
    """The records as aiokafka gave them."""
    return message.raw_message
