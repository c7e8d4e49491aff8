"""Row-level security: a migration that adds a table with `organization_id` protects it here.

The API's transactions for an organization run as the role `aihub_tenant`, which owns nothing: it sees the rows of the
organization that `aihub.organization` names, and none when that is not set. Consumers and platform staff run as the
owner. Tables that are granted nothing (sessions, second factors, signing keys, mail ...) do not exist for it.
"""

from typing import Final

from alembic import op

ROLE: Final = "aihub_tenant"
CURRENT: Final = "current_setting('aihub.organization', true)"


def create_role() -> None:
    """Makes the role once for all databases of the server; two migrations at once are fine.

    An owner that may not create roles needs it made and granted beforehand.
    """
    op.execute(f"""
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') THEN
                CREATE ROLE {ROLE} NOLOGIN NOINHERIT;
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END $$
    """)
    op.execute(f"""
        DO $$ BEGIN
            IF NOT pg_has_role(current_user, '{ROLE}', 'MEMBER') THEN
                EXECUTE format('GRANT {ROLE} TO %I', current_user);
            END IF;
        END $$
    """)
    op.execute(f"GRANT USAGE ON SCHEMA public TO {ROLE}")


def protect(table: str, *, column: str = "organization_id", allow: str = "SELECT, INSERT, UPDATE, DELETE") -> None:
    """Only rows of the current organization are seen and written."""
    protect_where(table, f"{column} = {CURRENT}", allow=allow)


def protect_where(table: str, condition: str, *, allow: str) -> None:
    """Only rows that fit are seen and written."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON {table} TO {ROLE} USING ({condition}) WITH CHECK ({condition})")
    op.execute(f"GRANT {allow} ON {table} TO {ROLE}")


def share(table: str) -> None:
    """Read by every organization: holds nothing of anybody's."""
    op.execute(f"GRANT SELECT ON {table} TO {ROLE}")
