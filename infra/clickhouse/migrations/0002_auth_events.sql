-- What happened to people, keys and roles: a copy of the audit trail in PostgreSQL, hash chain included, so that each
-- store tells when the other was changed. A link that is copied again has the same sorting key. Kept for 7 years.
CREATE TABLE IF NOT EXISTS auth_event_facts {on_cluster}
(
    organization_id LowCardinality(String),
    seq             UInt64 CODEC(Delta, ZSTD) COMMENT 'place in the chain of the organization, from 1',
    event_type      LowCardinality(String),
    source          LowCardinality(String),
    event_id        String CODEC(ZSTD),
    subject         String CODEC(ZSTD) COMMENT 'empty: not told',
    actor           String CODEC(ZSTD) COMMENT 'empty: not told',
    occurred_at     DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    accepted_at     DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    request_id      String CODEC(ZSTD) COMMENT 'empty: not told',
    data            String CODEC(ZSTD) COMMENT 'JSON; addresses are sealed under the key of the person',
    hash            String CODEC(ZSTD) COMMENT 'SHA-256 of the link in hexadecimal',
    copied_at       DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD),
    INDEX types event_type TYPE set(100) GRANULARITY 4
)
ENGINE = {replicated}ReplacingMergeTree
PARTITION BY toYear(accepted_at)
ORDER BY (organization_id, seq)
TTL toDateTime(accepted_at) + INTERVAL 7 YEAR;

-- For analysts: each event once.
CREATE OR REPLACE VIEW auth_events {on_cluster} AS
SELECT organization_id, seq, event_type, source, event_id, subject, actor, occurred_at, accepted_at, request_id, data,
       hash, copied_at
FROM auth_event_facts FINAL;
