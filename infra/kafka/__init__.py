"""Kafka: the only home of aiokafka and of FastStream's broker."""

from infra.kafka.connection import install

install()
