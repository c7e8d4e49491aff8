"""Row-level security: PostgreSQL shows an organization its own rows, whatever the application asks."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from infra.postgres import keys, tenancy
from infra.postgres.database import Database

NOW = datetime(2026, 11, 23, tzinfo=UTC)
OWNED = """
    SELECT c.relname, c.relrowsecurity FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attname = 'organization_id'
        AND has_table_privilege('aihub_tenant', c.oid, 'SELECT') ORDER BY 1
"""


@pytest.fixture
async def two(database: Database) -> Database:
    """A database with a key in each of two organizations."""
    async with database.transaction() as tx:
        for name in ("org_a", "org_b"):
            await keys.save_organization(tx, keys.OrganizationRow(name, name, NOW))
            row = keys.KeyRow(f"key_{name}", name, "k", "h", ["*"], NOW, None, None)
            await keys.save_key(tx, row, name.encode())
    return database


async def test_every_table_of_organizations_that_tenants_reach_is_protected(database: Database) -> None:
    async with database.transaction() as tx:
        found = {row[0]: row[1] for row in await tx.execute(text(OWNED))}
    assert len(found) >= 20
    assert all(protected for name, protected in found.items() if name != "prices")
    assert found["prices"]


async def test_a_tenant_sees_and_changes_its_own_rows_only(two: Database) -> None:
    tenancy.act_for("org_a")
    async with two.transaction() as tx:
        assert [row[0] for row in await tx.execute(text("SELECT id FROM api_keys"))] == ["key_org_a"]
        assert [row[0] for row in await tx.execute(text("SELECT id FROM organizations"))] == ["org_a"]
        changed = await tx.execute(text("UPDATE api_keys SET name = 'mine'"))
        assert changed.rowcount == 1
    tenancy.act_for(None)
    async with two.transaction() as tx:
        assert set(await tx.scalars(text("SELECT name FROM api_keys"))) == {"mine", "k"}


async def test_a_tenant_cannot_write_a_row_for_another(two: Database) -> None:
    tenancy.act_for("org_a")
    with pytest.raises(DBAPIError, match="row-level security"):
        async with two.transaction() as tx:
            await keys.save_key(tx, keys.KeyRow("x", "org_b", "k", "h", [], NOW, None, None), b"x")
    tenancy.act_for(None)


async def test_without_an_organization_the_role_sees_nothing(two: Database) -> None:
    async with two.transaction() as tx:
        tables = list(await tx.scalars(text(OWNED)))
        await tx.execute(text("SELECT set_config('role', 'aihub_tenant', true)"))
        for table in tables:
            condition = "WHERE organization_id IS NOT NULL" if table == "prices" else ""
            count = await tx.scalar(text(f"SELECT count(*) FROM {table} {condition}"))
            assert count == 0, table


async def test_what_people_prove_themselves_with_does_not_exist_for_tenants(two: Database) -> None:
    tenancy.act_for("org_a")
    for table in ("sessions", "refresh_tokens", "challenges", "signing_keys", "totp_secrets", "mails", "person_keys"):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with two.transaction() as tx:
                await tx.execute(text(f"SELECT * FROM {table}"))
    tenancy.act_for(None)


async def test_a_transaction_for_an_organization_leaves_nothing_behind_in_its_connection(two: Database) -> None:
    tenancy.act_for("org_a")
    async with two.transaction() as tx:
        await tx.execute(text("SELECT 1"))
    tenancy.act_for(None)
    for _ in range(12):
        async with two.transaction() as tx:
            assert await tx.scalar(text("SELECT current_user")) != tenancy.ROLE
            assert await tx.scalar(text("SELECT count(*) FROM api_keys")) == 2
