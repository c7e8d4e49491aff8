-- What organizations used: one row per event identity (see usage_identities for how that is kept).
-- A record that is inserted again has the same sorting key and the same offset, and FINAL shows one of them.
-- The lowest offset has the highest `rank` and wins: the first record in Kafka's order.
CREATE TABLE IF NOT EXISTS usage_facts {on_cluster}
(
    organization_id     LowCardinality(String),
    event_time          DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    accepted_at         DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    source              LowCardinality(String),
    event_id            String CODEC(ZSTD),
    service             LowCardinality(String),
    provider            LowCardinality(String) COMMENT 'empty: not told',
    model               LowCardinality(String) COMMENT 'empty: not told',
    operation           LowCardinality(String) COMMENT 'empty: not told',
    input_tokens        UInt64 CODEC(T64, ZSTD) COMMENT 'token classes are disjoint',
    cached_input_tokens UInt64 CODEC(T64, ZSTD),
    cache_write_tokens  UInt64 CODEC(T64, ZSTD),
    output_tokens       UInt64 CODEC(T64, ZSTD),
    reasoning_tokens    UInt64 CODEC(T64, ZSTD),
    audio_tokens        UInt64 CODEC(T64, ZSTD),
    image_tokens        UInt64 CODEC(T64, ZSTD),
    total_tokens        UInt64 ALIAS input_tokens + cached_input_tokens + cache_write_tokens + output_tokens
                                     + reasoning_tokens + audio_tokens + image_tokens,
    quantity            Decimal(19, 6) CODEC(ZSTD) COMMENT 'in `unit`; 0 where unit is empty',
    unit                LowCardinality(String) COMMENT 'empty: no quantity',
    user                String CODEC(ZSTD) COMMENT 'empty: not told',
    team                LowCardinality(String) COMMENT 'empty: not told',
    api_key             LowCardinality(String) COMMENT 'id of the key, never the key; empty: not told',
    request_id          String CODEC(ZSTD) COMMENT 'empty: not told',
    duration_ms         Nullable(UInt64) CODEC(ZSTD),
    status              LowCardinality(String) COMMENT 'succeeded, failed or cancelled',
    properties          Map(String, String) CODEC(ZSTD) COMMENT 'free properties; what is not text stands as JSON',
    topic               LowCardinality(String),
    partition           UInt32 CODEC(ZSTD),
    offset              UInt64 CODEC(Delta, ZSTD),
    inserted_at         DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD),
    rank                UInt64 MATERIALIZED 18446744073709551615 - offset CODEC(Delta, ZSTD),
    INDEX offsets offset TYPE minmax GRANULARITY 1,
    INDEX ids event_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = {replicated}ReplacingMergeTree(rank)
PARTITION BY toYYYYMM(event_time)
ORDER BY (organization_id, event_time, source, event_id);

-- Where each identity came first, for ever: an identity has no time window. Sorted by a hash, looked up by points,
-- hence small granules, and small blocks that are not compressed (a hash cannot be).
CREATE TABLE IF NOT EXISTS usage_identities {on_cluster}
(
    identity   FixedString(16) CODEC(NONE) SETTINGS (min_compress_block_size = 4096, max_compress_block_size = 4096),
    event_time DateTime64(6, 'UTC') CODEC(ZSTD),
    topic      LowCardinality(String),
    partition  UInt32 CODEC(ZSTD),
    offset     UInt64 CODEC(ZSTD)
)
ENGINE = {replicated}ReplacingMergeTree
ORDER BY (identity, topic, partition, offset)
SETTINGS index_granularity = 256;

-- What the ledger charged for usage; `event_time` is the usage event's own.
CREATE TABLE IF NOT EXISTS charge_facts {on_cluster}
(
    organization_id LowCardinality(String),
    event_time      DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    booked_at       DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    transaction_id  String CODEC(ZSTD),
    source          LowCardinality(String) COMMENT 'of the usage event',
    event_id        String CODEC(ZSTD) COMMENT 'of the usage event',
    amount_micros   Int64 CODEC(T64, ZSTD) COMMENT 'millionths of a credit',
    price_version   UInt32 CODEC(ZSTD),
    service         LowCardinality(String),
    provider        LowCardinality(String),
    model           LowCardinality(String),
    user            String CODEC(ZSTD),
    team            LowCardinality(String),
    total_tokens    UInt64 CODEC(T64, ZSTD),
    topic           LowCardinality(String),
    partition       UInt32 CODEC(ZSTD),
    offset          UInt64 CODEC(Delta, ZSTD),
    inserted_at     DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD),
    rank            UInt64 MATERIALIZED 18446744073709551615 - offset CODEC(Delta, ZSTD),
    INDEX offsets offset TYPE minmax GRANULARITY 1
)
ENGINE = {replicated}ReplacingMergeTree(rank)
PARTITION BY toYYYYMM(event_time)
ORDER BY (organization_id, event_time, transaction_id);

-- How far each partition of each topic has been written: the sink's own offsets.
CREATE TABLE IF NOT EXISTS sink_progress {on_cluster}
(
    topic       LowCardinality(String),
    partition   UInt32,
    next_offset UInt64 COMMENT 'everything below is in the tables',
    accepted_at DateTime64(6, 'UTC') COMMENT 'of the last record below next_offset',
    written_at  DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC')
)
ENGINE = {replicated}ReplacingMergeTree(written_at)
ORDER BY (topic, partition);

-- For analysts: each identity once, whatever is still to be merged.
CREATE OR REPLACE VIEW usage {on_cluster} AS
SELECT organization_id, event_time, accepted_at, source, event_id, service, provider, model, operation,
       input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, audio_tokens,
       image_tokens, total_tokens, quantity, unit, user, team, api_key, request_id, duration_ms, status, properties,
       topic, partition, offset, inserted_at
FROM usage_facts FINAL;

-- For analysts: each charge once.
CREATE OR REPLACE VIEW charges {on_cluster} AS
SELECT organization_id, event_time, booked_at, transaction_id, source, event_id, amount_micros, price_version,
       service, provider, model, user, team, total_tokens, topic, partition, offset, inserted_at
FROM charge_facts FINAL;
