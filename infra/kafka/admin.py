"""Makes the topics that the hub needs."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import InvalidReplicationFactorError, KafkaError, TopicAlreadyExistsError, for_code

from contracts.errors import BrokerUnavailable, ConfigError
from contracts.topics import TOPICS, Topic
from infra.kafka.options import KafkaOptions

DEADLINE_S: Final = 30.0
_RETRY_S: Final = 0.3


async def ensure_topics(options: KafkaOptions, topics: Iterable[Topic] = TOPICS) -> None:
    """Creates the topics that are missing and returns when every partition has a leader; leaves existing ones alone.

    Safe to run twice and from two processes at once.
    Raises: BrokerUnavailable; ConfigError when the cluster refuses (too few brokers, no permission).
    """
    wanted = list(topics)
    async with admin_client(options) as client:
        existing = set(await client.list_topics())
        missing = [_new_topic(options, topic) for topic in wanted if options.name(topic) not in existing]
        if missing:
            _check(await client.create_topics(missing, timeout_ms=int(DEADLINE_S * 1000)))
        await _until_led(client, [options.name(topic) for topic in wanted])


@asynccontextmanager
async def admin_client(options: KafkaOptions, *, deadline_s: float = DEADLINE_S) -> AsyncIterator[AIOKafkaAdminClient]:
    """An administration client for one job that must end within the deadline. Raises: BrokerUnavailable."""
    client = AIOKafkaAdminClient(**options.client_arguments())
    try:
        async with asyncio.timeout(deadline_s):
            await client.start()
            yield client
    except (KafkaError, TimeoutError) as error:
        raise BrokerUnavailable(f"Kafka does not answer at {options.bootstrap} ({type(error).__name__})") from error
    finally:
        await client.close()


def _new_topic(options: KafkaOptions, topic: Topic) -> NewTopic:
    return NewTopic(
        options.name(topic),
        options.partitions,
        options.replication,
        topic_configs={
            "retention.ms": str(topic.retention_ms),
            "retention.bytes": "-1",
            "cleanup.policy": "delete",
            "max.message.bytes": str(topic.max_message_bytes),
        },
    )


def _check(response: object) -> None:
    for name, code, message in getattr(response, "topic_errors", ()):
        error = for_code(code)
        if code == 0 or error is TopicAlreadyExistsError:
            continue
        if error is InvalidReplicationFactorError:
            raise ConfigError(f"Kafka has too few brokers for the topic {name}: {message}")
        if not error.retriable:
            raise ConfigError(f"Kafka refuses the topic {name}: {message or error.__name__}")
        raise BrokerUnavailable(f"Kafka could not make the topic {name} now: {message or error.__name__}")


async def _until_led(client: AIOKafkaAdminClient, names: list[str]) -> None:
    """A topic is created before its leaders are known; a producer would meet errors in between."""
    while True:
        described = await client.describe_topics(names)
        led = [
            topic["error_code"] == 0 and topic["partitions"] and all(p["leader"] >= 0 for p in topic["partitions"])
            for topic in described
        ]
        if len(led) == len(names) and all(led):
            return
        await asyncio.sleep(_RETRY_S)
