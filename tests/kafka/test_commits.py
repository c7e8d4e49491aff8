"""Commits of a member whose partitions went elsewhere."""

from aiokafka import AIOKafkaConsumer, TopicPartition

from infra.kafka.commits import Commits
from infra.kafka.options import KafkaOptions


async def test_a_commit_of_partitions_that_are_all_gone_is_not_made_and_no_error(kafka: KafkaOptions) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id="one")  # nothing is assigned to it
    await consumer.start()
    try:
        assert await Commits("one").commit(consumer, {TopicPartition("usage", 0): 7}) is False
    finally:
        await consumer.stop()
