"""Sessions and their refresh tokens."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import insert

from infra.postgres.database import Tx
from infra.postgres.tables.credentials import sessions


class SessionRow(NamedTuple):
    """One session. `device` and `address` are sealed under the person's key (api/core/persons.py)."""

    id: str
    user_id: str
    active_organization_id: str
    kind: str
    token_hash: bytes | None
    methods: Sequence[str]
    device: str
    address: str
    created_at: datetime
    last_used_at: datetime
    authenticated_at: datetime
    elevated_until: datetime | None
    expires_at: datetime
    ended_at: datetime | None = None
    end_reason: str | None = None


async def save_session(tx: Tx, session: SessionRow) -> None:
    """A new session."""
    await tx.execute(insert(sessions).values(**{**session._asdict(), "methods": list(session.methods)}))
