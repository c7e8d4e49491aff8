"""Usage and charges as facts in ClickHouse, each identity once."""
