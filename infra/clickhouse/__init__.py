"""ClickHouse, embedded (chDB) or a server over HTTP: the one home of clickhouse-connect."""
