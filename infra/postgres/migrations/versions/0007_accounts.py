"""People: users, memberships, teams, roles, sessions, second factors, sign-in keys, mail."""

from alembic import op

revision = "0007"
down_revision = "0006"

TABLES = (
    """
    CREATE TABLE users (
        id text PRIMARY KEY,
        email text UNIQUE,
        email_verified_at timestamptz,
        name text,
        locale text NOT NULL DEFAULT 'en',
        password_hash text,
        password_changed_at timestamptz,
        status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled', 'erased')),
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        version integer NOT NULL DEFAULT 1
    )
    """,
    # What seals a person's data in events and trails: without its row that data is noise (GDPR, article 17).
    """
    CREATE TABLE person_keys (
        user_id text PRIMARY KEY REFERENCES users,
        sealed bytea NOT NULL
    )
    """,
    """
    ALTER TABLE organizations
        ADD COLUMN personal_of text UNIQUE REFERENCES users,
        ADD COLUMN policy jsonb NOT NULL DEFAULT '{}',
        ADD COLUMN plan text NOT NULL DEFAULT 'unlimited',
        ADD COLUMN updated_at timestamptz,
        ADD COLUMN version integer NOT NULL DEFAULT 1
    """,
    """
    CREATE TABLE memberships (
        organization_id text NOT NULL REFERENCES organizations,
        user_id text NOT NULL REFERENCES users,
        owner boolean NOT NULL DEFAULT false,
        joined_at timestamptz NOT NULL,
        PRIMARY KEY (organization_id, user_id)
    )
    """,
    "CREATE INDEX memberships_by_user ON memberships (user_id)",
    """
    CREATE TABLE invitations (
        id text PRIMARY KEY,
        organization_id text NOT NULL REFERENCES organizations,
        email text NOT NULL,
        role_id text NOT NULL,
        hash bytea NOT NULL UNIQUE,
        invited_by text NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        accepted_at timestamptz,
        revoked_at timestamptz
    )
    """,
    "CREATE INDEX invitations_by_organization ON invitations (organization_id, id)",
    """
    CREATE TABLE teams (
        id text PRIMARY KEY,
        organization_id text NOT NULL REFERENCES organizations,
        name text NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        version integer NOT NULL DEFAULT 1,
        UNIQUE (organization_id, name),
        UNIQUE (organization_id, id)
    )
    """,
    """
    CREATE TABLE team_members (
        organization_id text NOT NULL,
        team_id text NOT NULL,
        user_id text NOT NULL,
        joined_at timestamptz NOT NULL,
        PRIMARY KEY (team_id, user_id),
        FOREIGN KEY (organization_id, team_id) REFERENCES teams (organization_id, id) ON DELETE CASCADE,
        FOREIGN KEY (organization_id, user_id) REFERENCES memberships ON DELETE CASCADE
    )
    """,
    "CREATE INDEX team_members_by_user ON team_members (organization_id, user_id)",
    """
    CREATE TABLE roles (
        id text PRIMARY KEY,
        organization_id text NOT NULL REFERENCES organizations,
        name text NOT NULL,
        description text NOT NULL DEFAULT '',
        permissions text[] NOT NULL,
        inherits text[] NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        version integer NOT NULL DEFAULT 1,
        UNIQUE (organization_id, name)
    )
    """,
    # `role_id` names a row of `roles` or a system role (contracts/rules/access.py); `team_id` '' is the whole
    # organization.
    """
    CREATE TABLE role_assignments (
        organization_id text NOT NULL,
        user_id text NOT NULL,
        role_id text NOT NULL,
        team_id text NOT NULL DEFAULT '',
        assigned_by text NOT NULL,
        assigned_at timestamptz NOT NULL,
        PRIMARY KEY (organization_id, user_id, role_id, team_id),
        FOREIGN KEY (organization_id, user_id) REFERENCES memberships ON DELETE CASCADE
    )
    """,
    "CREATE INDEX role_assignments_by_role ON role_assignments (organization_id, role_id)",
    """
    CREATE TABLE sessions (
        id text PRIMARY KEY,
        user_id text NOT NULL REFERENCES users,
        active_organization_id text NOT NULL REFERENCES organizations,
        kind text NOT NULL DEFAULT 'tokens' CHECK (kind IN ('tokens', 'verified_code')),
        token_hash bytea UNIQUE,
        methods text[] NOT NULL,
        device text NOT NULL DEFAULT '',
        address text NOT NULL DEFAULT '',
        created_at timestamptz NOT NULL,
        last_used_at timestamptz NOT NULL,
        authenticated_at timestamptz NOT NULL,
        elevated_until timestamptz,
        expires_at timestamptz NOT NULL,
        ended_at timestamptz,
        end_reason text
    )
    """,
    "CREATE INDEX sessions_by_user ON sessions (user_id, id)",
    "CREATE INDEX sessions_by_expiry ON sessions (expires_at)",
    """
    CREATE TABLE refresh_tokens (
        hash bytea PRIMARY KEY,
        session_id text NOT NULL REFERENCES sessions ON DELETE CASCADE,
        issued_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        used_at timestamptz
    )
    """,
    "CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id)",
    # Everything that is handed out once and comes back once: codes by mail, second steps of a log-in, OAuth states.
    """
    CREATE TABLE challenges (
        id text PRIMARY KEY,
        purpose text NOT NULL,
        user_id text REFERENCES users,
        hash bytea NOT NULL,
        data jsonb NOT NULL DEFAULT '{}',
        tries_left integer NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        used_at timestamptz
    )
    """,
    "CREATE INDEX challenges_by_hash ON challenges (purpose, hash)",
    "CREATE INDEX challenges_by_user ON challenges (user_id, purpose, created_at)",
    "CREATE INDEX challenges_by_expiry ON challenges (expires_at)",
    """
    CREATE TABLE totp_secrets (
        user_id text PRIMARY KEY REFERENCES users,
        sealed bytea NOT NULL,
        created_at timestamptz NOT NULL,
        confirmed_at timestamptz,
        last_step bigint NOT NULL DEFAULT 0
    )
    """,
    """
    CREATE TABLE passkeys (
        credential_id bytea PRIMARY KEY,
        id text NOT NULL UNIQUE,
        user_id text NOT NULL REFERENCES users,
        public_key bytea NOT NULL,
        sign_count bigint NOT NULL,
        transports text[] NOT NULL DEFAULT '{}',
        backed_up boolean NOT NULL,
        name text NOT NULL,
        created_at timestamptz NOT NULL,
        last_used_at timestamptz
    )
    """,
    "CREATE INDEX passkeys_by_user ON passkeys (user_id)",
    """
    CREATE TABLE recovery_codes (
        user_id text NOT NULL REFERENCES users,
        hash bytea NOT NULL,
        created_at timestamptz NOT NULL,
        used_at timestamptz,
        PRIMARY KEY (user_id, hash)
    )
    """,
    # A device somebody logged in from: others' failures do not lock it out; `trusted_until` skips the second factor.
    """
    CREATE TABLE devices (
        hash bytea PRIMARY KEY,
        user_id text NOT NULL REFERENCES users,
        name text NOT NULL DEFAULT '',
        created_at timestamptz NOT NULL,
        last_used_at timestamptz NOT NULL,
        trusted_until timestamptz
    )
    """,
    "CREATE INDEX devices_by_user ON devices (user_id)",
    """
    CREATE TABLE linked_identities (
        issuer text NOT NULL,
        subject text NOT NULL,
        provider text NOT NULL,
        user_id text NOT NULL REFERENCES users,
        email text,
        linked_at timestamptz NOT NULL,
        PRIMARY KEY (issuer, subject)
    )
    """,
    "CREATE INDEX linked_identities_by_user ON linked_identities (user_id)",
    """
    CREATE TABLE signing_keys (
        id text PRIMARY KEY,
        public jsonb NOT NULL,
        sealed bytea NOT NULL,
        created_at timestamptz NOT NULL,
        signs_until timestamptz NOT NULL,
        verifies_until timestamptz NOT NULL
    )
    """,
    # Lost in a crash, which frees whoever was slowed down.
    """
    CREATE UNLOGGED TABLE login_failures (
        subject text PRIMARY KEY,
        failures integer NOT NULL,
        since timestamptz NOT NULL,
        next_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE mails (
        id text PRIMARY KEY,
        recipient text NOT NULL,
        subject text NOT NULL,
        body text NOT NULL,
        created_at timestamptz NOT NULL,
        next_at timestamptz NOT NULL,
        attempts integer NOT NULL DEFAULT 0,
        sent_at timestamptz,
        error text
    )
    """,
    "CREATE INDEX mails_due ON mails (next_at) WHERE sent_at IS NULL",
    """
    ALTER TABLE api_keys
        ADD COLUMN kind text NOT NULL DEFAULT 'key' CHECK (kind IN ('key', 'service')),
        ADD COLUMN created_by text,
        ADD COLUMN allowed_networks text[] NOT NULL DEFAULT '{}',
        ADD COLUMN previous_hash bytea UNIQUE,
        ADD COLUMN previous_until timestamptz,
        ADD COLUMN rotated_at timestamptz,
        ADD COLUMN last_used_at timestamptz,
        ADD COLUMN last_used_from text,
        ADD COLUMN version integer NOT NULL DEFAULT 1
    """,
    # GCRA, one row a subject; lost in a crash, which frees everybody.
    """
    CREATE UNLOGGED TABLE rate_limits (
        subject text PRIMARY KEY,
        arrives_at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
