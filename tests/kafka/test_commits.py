"""Commits of a member whose partitions went elsewhere."""

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.topics import USAGE
from infra.kafka.commits import Commits
from infra.kafka.options import KafkaOptions


async def test_a_commit_of_partitions_that_are_all_gone_is_not_made_and_no_error(kafka: KafkaOptions) -> None:
    gone, kept = (TopicPartition(kafka.name(USAGE), number) for number in range(2))
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=kafka.name(USAGE), enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([kept])
        commits = Commits("one")
        assert await commits.commit(consumer, {gone: 7}) is False
        assert await commits.commit(consumer, {kept: 3}) is True
        assert await consumer.committed(kept) == 3
    finally:
        await consumer.stop()
