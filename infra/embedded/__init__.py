"""Real Kafka, PostgreSQL and ClickHouse inside one process tree; `engines.start_engines` is the door."""
