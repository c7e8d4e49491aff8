"""Topics are made once, whoever asks."""

import asyncio
from dataclasses import replace

import pytest

from contracts.errors import BrokerUnavailable, ConfigError
from contracts.topics import TOPICS, USAGE, TopicNames
from infra.embedded.ports import free_ports
from infra.kafka.admin import admin_client, ensure_topics
from infra.kafka.options import KafkaOptions


async def test_topics_are_made_with_their_partitions_and_made_again_without_harm(kafka: KafkaOptions) -> None:
    fresh = replace(kafka, topics=TopicNames(kafka.topics.prefix + "again."), partitions=2)
    await asyncio.gather(ensure_topics(fresh), ensure_topics(fresh))
    await ensure_topics(replace(fresh, partitions=5))
    async with admin_client(fresh) as client:
        described = await client.describe_topics([fresh.name(topic) for topic in TOPICS])
    assert {topic["topic"]: len(topic["partitions"]) for topic in described} == {
        fresh.name(topic): 2 for topic in TOPICS
    }


async def test_a_cluster_with_too_few_brokers_is_a_configuration_error(kafka: KafkaOptions) -> None:
    greedy = replace(kafka, topics=TopicNames(kafka.topics.prefix + "greedy."), replication=3)
    with pytest.raises(ConfigError, match="too few brokers"):
        await ensure_topics(greedy, [USAGE])


async def test_no_broker_is_said_so() -> None:
    with pytest.raises(BrokerUnavailable):
        await ensure_topics(KafkaOptions(f"127.0.0.1:{free_ports(1)[0]}"))
