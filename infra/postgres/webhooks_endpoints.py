"""Webhook endpoints: made, changed, deleted (marked, never removed), their secrets rotated."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, insert, select, text, update

from infra.postgres.database import Tx, raw
from infra.postgres.listing import Window, newest_first
from infra.postgres.tables.webhooks import webhook_deliveries as deliveries
from infra.postgres.tables.webhooks import webhook_endpoints as endpoints
from infra.postgres.webhooks_fanout import CHANNEL


class EndpointRow(NamedTuple):
    """One endpoint as stored, the values of its headers sealed; its secrets stay in the database."""

    id: str
    organization_id: str
    url: str
    description: str | None
    event_types: list[str]
    enabled: bool
    headers: dict[str, str]
    created_at: datetime
    updated_at: datetime
    disabled_at: datetime | None
    disabled_reason: str | None
    failures: int
    failing_since: datetime | None
    breaker_until: datetime | None


_COLUMNS = [endpoints.c[name] for name in EndpointRow._fields]


def secret_purpose(endpoint_id: str) -> str:
    """What an endpoint's secrets are sealed for: in another endpoint's row they do not open."""
    return f"webhook_endpoints/{endpoint_id}"


def header_purpose(endpoint_id: str, name: str) -> str:
    """The same for the value of one of its headers."""
    return f"webhook_endpoints/{endpoint_id}/headers/{name}"


async def save_endpoint(tx: Tx, row: EndpointRow, secret: str) -> None:
    """Makes the endpoint, with its first secret (sealed)."""
    values = {**row._asdict(), "secrets": [{"secret": secret, "until": None}], "breaker_trips": 0}
    await tx.execute(insert(endpoints).values(**values))


async def count_endpoints(tx: Tx, organization: str) -> int:
    """How many endpoints the organization has."""
    query = select(func.count()).where(endpoints.c.organization_id == organization, endpoints.c.deleted_at.is_(None))
    return await tx.scalar(query) or 0


async def find_endpoint(tx: Tx, organization: str, endpoint_id: str, *, lock: bool = False) -> EndpointRow | None:
    """The organization's endpoint; None when it has none of this id. `lock`: nobody changes it until the commit."""
    query = select(*_COLUMNS).where(*_one(organization, endpoint_id))
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    return EndpointRow(*row) if row else None


async def list_endpoints(tx: Tx, organization: str, window: Window) -> tuple[list[EndpointRow], int | None]:
    """The organization's endpoints, the newest first, and how many there are."""
    query = select(*_COLUMNS).where(endpoints.c.organization_id == organization, endpoints.c.deleted_at.is_(None))
    rows, total = await newest_first(tx, query, (endpoints.c.created_at, endpoints.c.id), window)
    return [EndpointRow(*row) for row in rows], total


async def change_endpoint(
    tx: Tx, organization: str, endpoint_id: str, changes: Mapping[str, Any], now: datetime
) -> EndpointRow | None:
    """The endpoint after the change; None when there is none."""
    statement = (
        update(endpoints).where(*_one(organization, endpoint_id)).values(**changes, updated_at=now).returning(*_COLUMNS)
    )
    row = (await tx.execute(statement)).one_or_none()
    return EndpointRow(*row) if row else None


async def resume_held(tx: Tx, endpoint_id: str, now: datetime) -> int:
    """How many deliveries that were held go on now."""
    statement = (
        update(deliveries)
        .where(deliveries.c.endpoint_id == endpoint_id, deliveries.c.state == "held")
        .values(state="pending", due_at=now, last_error=None)
    )
    resumed = (await tx.execute(statement)).rowcount
    await wake(tx, endpoint_id)
    return resumed


async def delete_endpoint(tx: Tx, organization: str, endpoint_id: str, now: datetime) -> bool:
    """Marks the endpoint as deleted and forgets its secrets; dispatchers end what it still waits for."""
    values = {"deleted_at": now, "updated_at": now, "enabled": False, "secrets": [], "headers": {}}
    statement = update(endpoints).where(*_one(organization, endpoint_id)).values(**values)
    return (await tx.execute(statement)).rowcount == 1


async def rotate_secret(
    tx: Tx, organization: str, endpoint_id: str, secret: str, old_until: datetime, now: datetime
) -> bool:
    """Puts a new secret (sealed) first; the present one signs too until `old_until`, at most four old ones are kept."""
    done = await tx.execute(
        text("""
            UPDATE webhook_endpoints SET updated_at = :now, secrets =
                jsonb_build_array(jsonb_build_object('secret', CAST(:secret AS text), 'until', NULL)) || (
                    SELECT coalesce(jsonb_agg(kept ORDER BY place), '[]') FROM (
                        SELECT place, jsonb_build_object('secret', old ->> 'secret', 'until',
                                                         coalesce(old ->> 'until', CAST(:until AS text))) AS kept
                        FROM jsonb_array_elements(secrets) WITH ORDINALITY AS e (old, place)
                        WHERE coalesce(CAST(old ->> 'until' AS timestamptz) > :now, true)
                        ORDER BY place LIMIT 4
                    ) kept_ones)
            WHERE id = :id AND organization_id = :organization AND deleted_at IS NULL
        """),
        {"id": endpoint_id, "organization": organization, "secret": secret, "until": old_until.isoformat(), "now": now},
    )
    return done.rowcount == 1


async def wake(tx: Tx, endpoint_id: str) -> None:
    """Tells the dispatchers, when the transaction commits, that the endpoint has something due."""
    connection = await raw(tx)
    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, endpoint_id)


def _one(organization: str, endpoint_id: str) -> tuple[Any, ...]:
    return (
        endpoints.c.organization_id == organization,
        endpoints.c.id == endpoint_id,
        endpoints.c.deleted_at.is_(None),
    )
