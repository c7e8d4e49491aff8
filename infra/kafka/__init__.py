"""Kafka: the only home of aiokafka and of FastStream's broker."""
