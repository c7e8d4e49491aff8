"""Whose rows the present request may see: read by every transaction, enforced by PostgreSQL (row-level security)."""

from contextvars import ContextVar
from typing import Final

_current: ContextVar[str | None] = ContextVar("tenant", default=None)

ROLE: Final = "aihub_tenant"


def act_for(organization_id: str | None) -> None:
    """From now on this task's transactions see one organization; None: they run as the owner and see all."""
    _current.set(organization_id)


def tenant() -> str | None:
    """The organization that this task acts for."""
    return _current.get()
