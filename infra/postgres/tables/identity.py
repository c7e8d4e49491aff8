"""Organizations, their API keys, and the people in them."""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

from infra.postgres.tables import metadata

_INSTANT = TIMESTAMP(timezone=True)

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text, unique=True),
    Column("email_verified_at", _INSTANT),
    Column("name", Text),
    Column("locale", Text, nullable=False, server_default="en"),
    Column("password_hash", Text),
    Column("password_changed_at", _INSTANT),
    Column("status", Text, nullable=False, server_default="active"),
    Column("created_at", _INSTANT, nullable=False),
    Column("updated_at", _INSTANT, nullable=False),
    Column("version", Integer, nullable=False, server_default=text("1")),
)
"""`email` in lower case, null once erased; `status` active, disabled or erased."""

person_keys = Table(
    "person_keys",
    metadata,
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

organizations = Table(
    "organizations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("personal_of", Text, ForeignKey("users.id"), unique=True),
    Column("policy", JSONB, nullable=False, server_default="{}"),
    Column("plan", Text, nullable=False, server_default="unlimited"),
    Column("updated_at", _INSTANT),
    Column("version", Integer, nullable=False, server_default=text("1")),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("expires_at", _INSTANT),
    Column("revoked_at", _INSTANT),
    Column("kind", Text, nullable=False, server_default="key"),
    Column("created_by", Text),
    Column("allowed_networks", ARRAY(Text), nullable=False, server_default="{}"),
    Column("previous_hash", LargeBinary, unique=True),
    Column("previous_until", _INSTANT),
    Column("rotated_at", _INSTANT),
    Column("last_used_at", _INSTANT),
    Column("last_used_from", Text),
    Column("version", Integer, nullable=False, server_default=text("1")),
)

key_addresses = Table(
    "key_addresses",
    metadata,
    Column("key_id", Text, ForeignKey("api_keys.id"), primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("place", Text, primary_key=True),
    Column("first_used_at", _INSTANT, nullable=False),
)
"""`place` is an address, of IPv6 its /64."""

memberships = Table(
    "memberships",
    metadata,
    Column("organization_id", Text, ForeignKey("organizations.id"), primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("owner", Boolean, nullable=False, server_default=text("false")),
    Column("joined_at", _INSTANT, nullable=False),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False),
    Column("email", Text, nullable=False),
    Column("role_id", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("invited_by", Text, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("expires_at", _INSTANT, nullable=False),
    Column("accepted_at", _INSTANT),
    Column("revoked_at", _INSTANT),
)

teams = Table(
    "teams",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("updated_at", _INSTANT, nullable=False),
    Column("version", Integer, nullable=False, server_default=text("1")),
    UniqueConstraint("organization_id", "name"),
    UniqueConstraint("organization_id", "id"),
)

team_members = Table(
    "team_members",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("team_id", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("joined_at", _INSTANT, nullable=False),
    ForeignKeyConstraint(["organization_id", "team_id"], ["teams.organization_id", "teams.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(
        ["organization_id", "user_id"], ["memberships.organization_id", "memberships.user_id"], ondelete="CASCADE"
    ),
)

roles = Table(
    "roles",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("permissions", ARRAY(Text), nullable=False),
    Column("inherits", ARRAY(Text), nullable=False, server_default="{}"),
    Column("created_at", _INSTANT, nullable=False),
    Column("updated_at", _INSTANT, nullable=False),
    Column("version", Integer, nullable=False, server_default=text("1")),
    UniqueConstraint("organization_id", "name"),
)
"""Roles that organizations made; system roles stand in contracts/rules/access.py."""

role_assignments = Table(
    "role_assignments",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("role_id", Text, primary_key=True),
    Column("team_id", Text, primary_key=True, server_default=""),
    Column("assigned_by", Text, nullable=False),
    Column("assigned_at", _INSTANT, nullable=False),
    ForeignKeyConstraint(
        ["organization_id", "user_id"], ["memberships.organization_id", "memberships.user_id"], ondelete="CASCADE"
    ),
)
"""`team_id` '' is the whole organization."""

Index("api_keys_by_organization", api_keys.c.organization_id)
Index("memberships_by_user", memberships.c.user_id)
Index("invitations_by_organization", invitations.c.organization_id, invitations.c.id)
Index("team_members_by_user", team_members.c.organization_id, team_members.c.user_id)
Index("role_assignments_by_role", role_assignments.c.organization_id, role_assignments.c.role_id)
