"""The ledger. The database itself refuses unbalanced postings and any change of what was booked."""

from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = (
    """
    CREATE TABLE ledger_heads (
        organization_id text COLLATE "C" PRIMARY KEY,
        seq bigint NOT NULL DEFAULT 0,
        hash bytea,
        booked_at timestamptz,
        low_threshold_micros bigint NOT NULL DEFAULT 10000000 CHECK (low_threshold_micros >= 0),
        level text NOT NULL DEFAULT 'ok' CHECK (level IN ('ok', 'low', 'depleted'))
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE accounts (
        organization_id text COLLATE "C",
        kind text COLLATE "C",
        balance_micros bigint NOT NULL,
        PRIMARY KEY (organization_id, kind),
        CHECK (kind NOT IN ('wallet', 'held') OR balance_micros >= 0),
        CHECK (kind <> 'debt' OR balance_micros <= 0)
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE ledger_transactions (
        id uuid PRIMARY KEY,
        organization_id text COLLATE "C" NOT NULL,
        seq bigint NOT NULL,
        kind text NOT NULL,
        amount_micros bigint NOT NULL,
        event_source text,
        event_id text,
        used_at timestamptz NOT NULL,
        accepted_at timestamptz NOT NULL,
        booked_at timestamptz NOT NULL,
        price_version integer,
        detail json NOT NULL,
        available_after_micros bigint NOT NULL,
        debt_after_micros bigint NOT NULL,
        reverses uuid,
        hash bytea NOT NULL,
        UNIQUE (organization_id, seq)
    )
    """,
    """
    CREATE UNIQUE INDEX ledger_transactions_reverse_once ON ledger_transactions (reverses)
    WHERE reverses IS NOT NULL
    """,
    """
    CREATE TABLE postings (
        transaction_id uuid,
        line smallint,
        organization_id text COLLATE "C" NOT NULL,
        account text NOT NULL,
        grant_id uuid,
        asset text NOT NULL DEFAULT 'credit',
        amount_micros bigint NOT NULL,
        PRIMARY KEY (transaction_id, line)
    )
    """,
    """
    CREATE TABLE grants (
        id uuid PRIMARY KEY,
        organization_id text COLLATE "C" NOT NULL,
        source text NOT NULL,
        priority integer NOT NULL,
        effective_at timestamptz NOT NULL,
        expires_at timestamptz,
        scope json NOT NULL,
        cost_basis_nanos bigint NOT NULL,
        amount_micros bigint NOT NULL CHECK (amount_micros > 0),
        remaining_micros bigint NOT NULL CHECK (remaining_micros BETWEEN 0 AND amount_micros),
        event_source text NOT NULL,
        event_id text NOT NULL,
        reason text,
        granted_at timestamptz NOT NULL,
        created_at timestamptz NOT NULL,
        is_open boolean NOT NULL CHECK (is_open = (remaining_micros > 0)),
        settled boolean NOT NULL
    ) WITH (fillfactor = 50)
    """,
    "CREATE INDEX grants_open ON grants (organization_id) WHERE is_open",
    "CREATE INDEX grants_to_expire ON grants (expires_at) WHERE is_open AND expires_at IS NOT NULL",
    "CREATE INDEX grants_to_activate ON grants (effective_at) WHERE is_open AND NOT settled",
    """
    CREATE TABLE inbox (
        organization_id text COLLATE "C",
        event_id text COLLATE "C",
        source text COLLATE "C",
        body_hash bytea NOT NULL,
        family text NOT NULL,
        topic text COLLATE "C" NOT NULL,
        partition_no integer NOT NULL,
        offset_no bigint NOT NULL,
        accepted_at timestamptz NOT NULL,
        transaction_id uuid,
        input_tokens bigint NOT NULL,
        output_tokens bigint NOT NULL,
        total_tokens bigint NOT NULL,
        PRIMARY KEY (organization_id, event_id, source)
    )
    """,
    "CREATE INDEX inbox_by_offset ON inbox (topic, partition_no, offset_no)",
    """
    CREATE TABLE ledger_progress (
        topic text COLLATE "C",
        partition_no integer,
        next_offset bigint NOT NULL,
        accepted_at timestamptz NOT NULL,
        PRIMARY KEY (topic, partition_no)
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE price_books (
        version integer PRIMARY KEY CHECK (version > 0),
        effective_from timestamptz NOT NULL,
        created_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE prices (
        version integer REFERENCES price_books,
        line smallint,
        item text NOT NULL,
        price_micros bigint NOT NULL CHECK (price_micros >= 0),
        per bigint NOT NULL CHECK (per > 0),
        model text,
        service text,
        provider text,
        organization_id text,
        is_default boolean NOT NULL,
        PRIMARY KEY (version, line)
    )
    """,
)

APPEND_ONLY = ("ledger_transactions", "postings", "inbox", "price_books", "prices")

# A transaction's postings come in one statement: numbered 1..n, so that none can be added later (their keys
# would collide, or their numbers not begin at 1), all of the header's organization, zero in sum per asset.
BALANCED = """
    CREATE FUNCTION ledger_check_postings() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        wrong uuid;
    BEGIN
        SELECT transaction_id INTO wrong FROM added
        GROUP BY transaction_id, asset
        HAVING sum(amount_micros) <> 0 OR count(*) < 2
        LIMIT 1;
        IF NOT FOUND THEN
            SELECT transaction_id INTO wrong FROM (
                SELECT transaction_id, min(organization_id) AS organization_id,
                       min(line) = 1 AND max(line) = count(*)
                       AND min(organization_id) = max(organization_id) AS is_whole
                FROM added GROUP BY transaction_id
            ) AS one
            WHERE NOT is_whole OR NOT EXISTS (
                SELECT FROM ledger_transactions AS header
                WHERE header.id = one.transaction_id AND header.organization_id = one.organization_id
            )
            LIMIT 1;
        END IF;
        IF FOUND THEN
            RAISE EXCEPTION 'ledger transaction % is not balanced', wrong USING
                ERRCODE = 'check_violation',
                HINT = 'insert its header, then all its postings in one statement: lines 1..n, zero in sum per asset';
        END IF;
        RETURN NULL;
    END $$
"""

COMPLETE = """
    CREATE FUNCTION ledger_check_header() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NOT EXISTS (SELECT FROM postings WHERE transaction_id = NEW.id) THEN
            RAISE EXCEPTION 'ledger transaction % has no postings', NEW.id USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
"""

REFUSED = """
    CREATE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% of % is refused: what was booked is reversed by new rows, never changed',
            TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END $$
"""


def upgrade() -> None:
    for statement in (*TABLES, BALANCED, COMPLETE, REFUSED):
        op.execute(statement)
    op.execute("""
        CREATE TRIGGER balanced AFTER INSERT ON postings REFERENCING NEW TABLE AS added
        FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_postings()
    """)
    op.execute("""
        CREATE CONSTRAINT TRIGGER complete AFTER INSERT ON ledger_transactions DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION ledger_check_header()
    """)
    for table in APPEND_ONLY:
        op.execute(f"""
            CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change()
        """)
