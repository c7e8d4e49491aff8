"""How people prove who they are, and what they are given for it. Nothing here is granted to `aihub_tenant`."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

from infra.postgres.tables import metadata

_INSTANT = TIMESTAMP(timezone=True)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("active_organization_id", Text, ForeignKey("organizations.id"), nullable=False),
    Column("kind", Text, nullable=False, server_default="tokens"),
    Column("token_hash", LargeBinary, unique=True),
    Column("methods", ARRAY(Text), nullable=False),
    Column("device", Text, nullable=False, server_default=""),
    Column("address", Text, nullable=False, server_default=""),
    Column("created_at", _INSTANT, nullable=False),
    Column("last_used_at", _INSTANT, nullable=False),
    Column("authenticated_at", _INSTANT, nullable=False),
    Column("elevated_until", _INSTANT),
    Column("expires_at", _INSTANT, nullable=False),
    Column("ended_at", _INSTANT),
    Column("end_reason", Text),
)
"""`kind` tokens (access and refresh tokens) or verified_code (one token, whose hash stands here)."""

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("session_id", Text, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("issued_at", _INSTANT, nullable=False),
    Column("expires_at", _INSTANT, nullable=False),
    Column("used_at", _INSTANT),
)

challenges = Table(
    "challenges",
    metadata,
    Column("id", Text, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("user_id", Text, ForeignKey("users.id")),
    Column("hash", LargeBinary, nullable=False),
    Column("data", JSONB, nullable=False, server_default="{}"),
    Column("tries_left", Integer, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("expires_at", _INSTANT, nullable=False),
    Column("used_at", _INSTANT),
)
"""Everything that is handed out once and comes back once: codes by mail, second steps of a log-in, OAuth states."""

totp_secrets = Table(
    "totp_secrets",
    metadata,
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("confirmed_at", _INSTANT),
    Column("last_step", BigInteger, nullable=False, server_default=text("0")),
)

passkeys = Table(
    "passkeys",
    metadata,
    Column("credential_id", LargeBinary, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("transports", ARRAY(Text), nullable=False, server_default="{}"),
    Column("backed_up", Boolean, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("last_used_at", _INSTANT),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("hash", LargeBinary, primary_key=True),
    Column("created_at", _INSTANT, nullable=False),
    Column("used_at", _INSTANT),
)

devices = Table(
    "devices",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("created_at", _INSTANT, nullable=False),
    Column("last_used_at", _INSTANT, nullable=False),
    Column("trusted_until", _INSTANT),
)
"""A device somebody logged in from: others' failures do not lock it out; `trusted_until` skips the second factor."""

linked_identities = Table(
    "linked_identities",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("email", Text),
    Column("linked_at", _INSTANT, nullable=False),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("public", JSONB, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("signs_until", _INSTANT, nullable=False),
    Column("verifies_until", _INSTANT, nullable=False),
)

login_failures = Table(
    "login_failures",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("since", _INSTANT, nullable=False),
    Column("next_at", _INSTANT, nullable=False),
    prefixes=["UNLOGGED"],
)

mails = Table(
    "mails",
    metadata,
    Column("id", Text, primary_key=True),
    Column("recipient", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("next_at", _INSTANT, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("sent_at", _INSTANT),
    Column("error", Text),
)

Index("sessions_by_user", sessions.c.user_id, sessions.c.id)
Index("sessions_by_expiry", sessions.c.expires_at)
Index("refresh_tokens_by_session", refresh_tokens.c.session_id)
Index("challenges_by_hash", challenges.c.purpose, challenges.c.hash)
Index("challenges_by_user", challenges.c.user_id, challenges.c.purpose, challenges.c.created_at)
Index("challenges_by_expiry", challenges.c.expires_at)
Index("passkeys_by_user", passkeys.c.user_id)
Index("devices_by_user", devices.c.user_id)
Index("linked_identities_by_user", linked_identities.c.user_id)
Index("mails_due", mails.c.next_at, postgresql_where=text("sent_at IS NULL"))
